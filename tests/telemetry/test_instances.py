"""Which of several processes tells: each is an instance of its own."""

import pytest
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID

from gateway.siblings import ALONE, Siblings
from gateway.telemetry.running import _resource


def _instances(*siblings: Siblings) -> list[object]:
    return [_resource(each).attributes[SERVICE_INSTANCE_ID] for each in siblings]


def test_each_worker_has_an_id_where_nobody_gives_one() -> None:
    one, other = _instances(Siblings(0, 2), Siblings(1, 2))
    assert one
    assert one != other


def test_each_worker_adds_its_number_to_what_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=given")
    assert _instances(ALONE, Siblings(0, 2), Siblings(1, 2)) == [
        "given",
        "given/0",
        "given/1",
    ]
