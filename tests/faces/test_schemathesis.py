"""What the description of the faces says holds: for all that it allows, and what it forbids."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from gateway.faces.headers import CONNECT_TIMEOUT, GRPC_TIMEOUT, TIMEOUT
from gateway.faces.openapi import document
from gateway.rpc.requests import Limits
from tests.faces.asking import facing_from_a_thread

pytestmark = pytest.mark.real_time

_LIMITS = Limits(
    max_documents=1000, max_document_bytes=1 << 20, max_query_bytes=1 << 15
)
_DOCUMENT = document(version="0.1.0", limits=_LIMITS)
_SCHEMA = schemathesis.openapi.from_dict(_DOCUMENT)
_OPERATIONS = {
    found.ok().label: found.ok()
    for found in _SCHEMA.get_all_operations()
    if isinstance(found, Ok)
}
_EXAMPLES = 10
_TIMEOUTS = (CONNECT_TIMEOUT, GRPC_TIMEOUT, TIMEOUT)


@pytest.fixture(scope="module", autouse=True)
def every_task_is_awaited() -> None:
    """Leave that to the thread in which the gateway is."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a gateway in a thread: schemathesis asks from this one, and waits."""
    folder: Path = tmp_path_factory.mktemp("collections")
    with facing_from_a_thread(folder, retrieval={}, server={}) as scene:
        yield f"http://{scene.gateway.server.http_address}"


_MODES = {
    f"{label} {mode.value}": (label, mode)
    for label in _OPERATIONS
    for mode in GenerationMode
    # What takes nothing can be sent nothing wrong.
    if label.startswith("POST") or mode is GenerationMode.POSITIVE
}


@pytest.mark.parametrize("case", _MODES)
def test_every_answer_is_as_described(case: str, url: str) -> None:
    label, mode = _MODES[case]
    operation = _OPERATIONS[label]
    # What a message requires is said in words alone, by the comments of the contract.
    left_out = [positive_data_acceptance] if "/rerank.v1." in label else []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        excluded = left_out
        if mode is GenerationMode.NEGATIVE and _is_described_nevertheless(label, case):
            excluded = [*left_out, negative_data_rejection]
        response = case.call(base_url=url)
        if response.status_code == HTTPStatus.GATEWAY_TIMEOUT and _is_in_a_hurry(case):
            return
        case.validate_response(response, excluded_checks=excluded)

    check()


def _is_in_a_hurry(case: Any) -> bool:
    """Tell whether a header left less time than the description allows."""
    return any(name.lower() in _TIMEOUTS for name in case.headers or ())


def _is_described_nevertheless(label: str, case: Any) -> bool:
    """Tell whether a body that breaks one of several shapes keeps to another."""
    broken = [
        place
        for place, component in case.meta.components.items()
        if component.mode is GenerationMode.NEGATIVE
    ]
    if broken != [ParameterLocation.BODY] or isinstance(case.body, bytes):
        return False
    verb, path = label.split()
    content = _DOCUMENT["paths"][path][verb.lower()]["requestBody"]["content"]
    shape = content["application/json"]["schema"]
    shapes = {**shape, "components": _DOCUMENT["components"]}
    return jsonschema_rs.is_valid(shapes, case.body)
