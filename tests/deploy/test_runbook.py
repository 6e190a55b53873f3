"""The runbook has each alert, and names only what there is."""

import re
import shlex

import pytest
import yaml
from typer.main import get_command

from gateway import cli
from gateway.rpc.call_lines import REASONS
from rerank.v1 import (
    backend_service_pb2,
    document_service_pb2,
    rerank_service_pb2,
    search_service_pb2,
)
from tests.deploy import drawn, emitted
from tests.deploy.places import DEPLOY, OBSERVABILITY, ROOT
from tests.deploy.promql import reads

RUNBOOK = (DEPLOY / "runbook.md").read_text()
SECTIONS = dict(
    part.split("\n", 1) for part in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
)
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((OBSERVABILITY / "rules/alerts.yml").read_text())[
        "groups"
    ]
    for rule in group["rules"]
}
SERVICES = {
    service.full_name: {method.name for method in service.methods}
    for file in (
        backend_service_pb2,
        document_service_pb2,
        rerank_service_pb2,
        search_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
} | {"grpc.health.v1.Health": {"Check", "Watch"}}


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL
    )
    return [line for block in found for line in block.splitlines()]


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    assert list(SECTIONS) == ["How to look", *ALERTS]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_section(name: str) -> None:
    file, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert (DEPLOY / file).read_text() == RUNBOOK
    assert anchor == name.lower()


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    said = re.findall(r"^\*\*(.+?)\.?\*\*", SECTIONS[name], re.MULTILINE)
    assert said == ["What it means", "Where to look", "What to do"]
    assert "```promql" in SECTIONS[name]


@pytest.mark.parametrize("expression", blocks("promql"))
def test_a_query_reads_what_there_is(expression: str) -> None:
    known = emitted.series()
    found = reads(expression)
    assert found.selectors
    labels = set[str]()
    for selector in found.selectors:
        assert selector.metric in known
        assert selector.labels <= known[selector.metric]
        labels |= known[selector.metric]
    assert found.grouped <= labels


def test_commands_and_their_options_are_there() -> None:
    cli._add_others()
    commands = get_command(cli.app).commands  # type: ignore[attr-defined] # a group
    used = re.findall(r"rerank-gateway ([a-z]+)((?: [^`\n]+)?)", RUNBOOK)
    assert {name for name, _ in used} >= {"health", "backends", "check", "evaluate"}
    for name, rest in used:
        options = {option for each in commands[name].params for option in each.opts}
        given = {word for word in rest.split() if word.startswith("--")}
        assert given <= options, name


def test_calls_are_those_of_the_contract() -> None:
    called = [
        word
        for line in blocks("console")
        for word in shlex.split(line.removeprefix("$ "))
        if re.fullmatch(r"[a-z0-9.]+\.v1\.\w+/\w+", word)
    ]
    assert called
    for service, _, method in (each.partition("/") for each in called):
        assert method in SERVICES[service]


def test_events_of_lines_are_those_that_are_written() -> None:
    source = "".join(
        path.read_text() for path in (ROOT / "gateway" / "logs").glob("*.py")
    )
    written = set(re.findall(r'event(?:": |=)"(\w+)"', source))
    asked = set(re.findall(r'\.event == "(\w+)"', RUNBOOK))
    assert asked
    assert asked <= written


def test_every_reason_of_a_fallback_has_what_to_do() -> None:
    listed = re.findall(r"^- (`.+?):", SECTIONS["RerankFallbacks"], re.MULTILINE)
    named = sorted(word for each in listed for word in re.findall(r"`(\w+)`", each))
    assert named == sorted(reason.lower() for reason in REASONS.values() if reason)


def test_panels_and_rows_that_it_names_are_drawn() -> None:
    titles = {
        panel["title"]
        for dashboard in drawn.dashboards().values()
        for panel in dashboard["panels"]
    } | {"Rerank gateway", "Search methods"}  # of the dashboards themselves
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", RUNBOOK))
    assert named
    assert named <= titles
