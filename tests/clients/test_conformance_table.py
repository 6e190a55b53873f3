"""The table that clients are held to is what the gateway answers now."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import grpc
import pytest

from clients.conformance.comparing import difference, steady
from clients.conformance.launching import HERE, a_gateway
from clients.conformance.record import record

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(HERE.glob("cases/*.json"))
    for case in json.loads(path.read_text("utf-8"))
]


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    with a_gateway() as address, grpc.insecure_channel(address) as opened:
        yield opened


@pytest.mark.real_time
@pytest.mark.parametrize("case", CASES)
def test_the_gateway_answers_as_recorded(
    channel: grpc.Channel, case: dict[str, Any]
) -> None:
    for call in case["calls"]:
        fresh = deepcopy(call)
        record(channel, fresh)
        assert difference(fresh, call) == ""


def test_names_of_cases_are_unique() -> None:
    names = [each.id for each in CASES]
    assert len(set(names)) == len(names)


def test_a_difference_is_found_wherever_it_is() -> None:
    answer = {"results": [{"score": 0.5, "id": "a"}], "message": "m"}
    assert not difference(answer, deepcopy(answer))
    assert not difference({"score": 0.5}, {"score": 0.5 + 1e-9})
    for changed in (
        {**answer, "results": []},
        {**answer, "results": [{"score": 0.51, "id": "a"}]},
        {**answer, "results": [{"score": 0.5, "id": "b"}]},
        {**answer, "more": 1},
        {"message": "m"},
        {**answer, "message": None},
    ):
        assert difference(changed, answer)


def test_volatile_members_are_left_out_everywhere() -> None:
    answer = [{"a": 1, "b": {"a": 2, "c": [{"a": 3}]}}]
    assert steady(answer, frozenset({"a"})) == [{"b": {"c": [{}]}}]
