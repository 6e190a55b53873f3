"""The page of limits, fallbacks and errors names all there are, with their defaults."""

import re

from gateway.settings import ServerSettings
from rerank.v1.error_reason_pb2 import ErrorReason
from rerank.v1.execution_pb2 import FallbackReason
from tests.documentation.pages import ROOT
from tests.support.console import section

_PAGE = (ROOT / "docs/limits.md").read_text("utf-8")
_UNITS = {"KiB": 1024, "MiB": 1024**2}


def _rows(heading: str) -> list[list[str]]:
    """Give the rows of the table below a heading, each with its cells."""
    lines = section(_PAGE, heading).splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _quoted(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}


def test_every_reason_of_a_fallback_is_told() -> None:
    told = _quoted([reasons for reasons, _ in _rows("## Reasons of fallbacks")])
    known = {
        name.removeprefix("FALLBACK_REASON_") for name, _ in FallbackReason.items()
    }
    assert told == known - {"UNSPECIFIED"}


def test_every_reason_of_an_error_is_told_with_its_status() -> None:
    rows = _rows("## Errors")
    told = _quoted([reasons for _, reasons, _ in rows])
    known = {name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items()}
    assert told == known - {"UNSPECIFIED"}
    contract = (ROOT / "protos/rerank/v1/error_reason.proto").read_text("utf-8")
    said = {
        name: comment
        for comment, name in re.findall(
            r"((?:  //.*\n)+)  ERROR_REASON_([A-Z_]+) =", contract
        )
    }
    for statuses, reasons, _ in rows:
        for reason in _quoted([reasons]):
            for status in _quoted([statuses]):
                assert status in said[reason], reason


def test_limits_are_those_of_the_settings() -> None:
    found = 0
    for _, default, setting in _rows("## Limits"):
        name = setting.strip("`").removeprefix("server.")
        if not setting.startswith("`server."):
            continue
        number, _, unit = default.partition(" ")
        expected = int(number) * _UNITS.get(unit, 1)
        assert ServerSettings.model_fields[name].default == expected, name
        found += 1
    assert found >= 6
