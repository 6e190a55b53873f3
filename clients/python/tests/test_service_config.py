"""The shared configuration, as this client uses it."""

import json

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from rerank_client import service_config
from rerank_client._gen.rerank.v1 import (
    backend_service_pb2,
    document_service_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

_FILES = (
    backend_service_pb2,
    document_service_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

_METHODS: list[MethodDescriptor] = [
    method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


def test_it_bounds_no_call() -> None:
    methods = json.loads(service_config.SERVICE_CONFIG)["methodConfig"]
    assert methods
    assert not any("timeout" in each for each in methods)


def test_it_repeats_each_method_that_is_safe_to_repeat() -> None:
    entries = json.loads(service_config.SERVICE_CONFIG)["methodConfig"]
    repeats = {
        (name["service"], name.get("method", "")): "retryPolicy" in entry
        for entry in entries
        for name in entry["name"]
    }
    assert _METHODS
    for method in _METHODS:
        service = method.containing_service.full_name
        of_all = repeats.get((service, ""))
        repeated = repeats.get((service, method.name), of_all)
        assert repeated is _is_safe_to_repeat(method), method.full_name


def _is_safe_to_repeat(method: MethodDescriptor) -> bool:
    """Whether the contract says so, and all that was answered comes at once."""
    level = method.GetOptions().idempotency_level
    streams = method.client_streaming or method.server_streaming
    return level != MethodOptions.IDEMPOTENCY_UNKNOWN and not streams
