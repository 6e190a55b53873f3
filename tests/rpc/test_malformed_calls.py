"""Five thousand gRPC messages that are wrong in every way: clear errors, and no bug."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rerank.v1 import (
    backend_service_pb2,
    document_pb2,
    document_service_pb2,
    rerank_service_pb2,
    search_service_pb2,
)
from tests.faces.asking import PATIENCE_S, facing_from_a_thread

pytestmark = [
    pytest.mark.real_time,
    # Of what failed, which is large.
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning"),
]

# A channel that is spoken to in bytes, which its types do not foresee.
Channel: TypeAlias = Any

_ROUNDS = 125
_IN_A_ROUND = 40
_ENOUGH = _ROUNDS * _IN_A_ROUND

_FILES = (
    backend_service_pb2.DESCRIPTOR,
    document_service_pb2.DESCRIPTOR,
    rerank_service_pb2.DESCRIPTOR,
    search_service_pb2.DESCRIPTOR,
)
_METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in _FILES
    for service in file.services_by_name.values()
    for method in service.methods
}
_NOT_ONES_OWN_FAULT = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED"}


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    """Run a gateway in a thread, and give a way to it from this one."""
    folder: Path = tmp_path_factory.mktemp("collections")
    with (
        facing_from_a_thread(
            folder,
            retrieval={"timeout_s": "0.1"},
            # Whoever makes up what is sent keeps this process from its work at times.
            server={"max_lag_s": 60},
        ) as scene,
        grpc.insecure_channel(
            scene.gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel,
    ):
        yield channel


# What is sent

_TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", " ", "\x00", "a" * 2000, "default"]
)
_INTEGERS = st.sampled_from([0, 1, -1, 2, 100, 2**31 - 1, -(2**31)])
_LONG = _INTEGERS | st.sampled_from([2**63 - 1, -(2**63)])
_NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 1e308])
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: _NUMBERS,
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    # Open: a message holds numbers that no value of the enum has.
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-2, 9) | st.just(2**31 - 1),
    FieldDescriptor.CPPTYPE_INT32: _INTEGERS,
    FieldDescriptor.CPPTYPE_INT64: _LONG,
    FieldDescriptor.CPPTYPE_STRING: _TEXTS,
}
_DEEPEST = 4


def _fill(draw: st.DrawFn, message: Message, depth: int = 0) -> None:
    """Set some fields of a message to whatever they can hold."""
    described: Any = message.DESCRIPTOR
    fields = list(described.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=6)) if fields else ():
        if field.message_type is None:
            value = draw(_SCALARS[field.cpp_type])
            if field.is_repeated:
                getattr(message, field.name).extend([value] * draw(st.integers(0, 3)))
            else:
                setattr(message, field.name, value)
        elif depth < _DEEPEST:
            _fill_below(draw, message, field, depth)


def _fill_below(
    draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int
) -> None:
    below = getattr(message, field.name)
    kind: Any = field.message_type
    if kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].message_type is None:
            below[draw(_TEXTS)] = draw(_TEXTS)
        else:
            below[draw(_TEXTS)].SetInParent()
    elif field.is_repeated:
        for _ in range(draw(st.integers(0, 3))):
            _fill(draw, below.add(), depth + 1)
    else:
        below.SetInParent()
        _fill(draw, below, depth + 1)


@st.composite
def _filled(draw: st.DrawFn, method: MethodDescriptor) -> bytes:
    message = message_factory.GetMessageClass(method.input_type)()
    _fill(draw, message)
    return message.SerializePartialToString()


@st.composite
def _mutated(draw: st.DrawFn, method: MethodDescriptor) -> bytes:
    """Change some bytes of what is a message."""
    data = bytearray(draw(_filled(method)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["set", "cut", "put", "end"])):
            case "set":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[at : at + draw(st.integers(1, 10))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "end":
                del data[at:]
    return bytes(data)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, bytes]:
    path = draw(st.sampled_from(list(_METHODS)))
    method = _METHODS[path]
    sent = st.one_of(_filled(method), _mutated(method), st.binary(max_size=60))
    return path, draw(sent)


class Caller:
    """Sends what it is given, and counts."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.sent = 0
        self.seen: set[str] = set()
        """The names of statuses."""

    def call(self, path: str, data: bytes) -> grpc.RpcError | None:
        """Make one call with one message; gives its error, or nothing."""
        self.sent += 1
        method = _METHODS[path]
        try:
            if method.client_streaming:
                for _ in self._channel.stream_stream(path)(
                    iter([data]), timeout=PATIENCE_S
                ):
                    pass
            elif method.server_streaming:
                for _ in self._channel.unary_stream(path)(data, timeout=PATIENCE_S):
                    pass
            else:
                self._channel.unary_unary(path)(data, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            status: Any = error
            self.seen.add(status.code().name)
            return error
        self.seen.add("OK")
        return None

    def is_well(self) -> bool:
        """Ask as one should."""
        request = rerank_service_pb2.RerankRequest(
            query="a", documents=[document_pb2.Document(text="b")]
        )
        data = request.SerializeToString()
        return self.call("/rerank.v1.RerankService/Rerank", data) is None


def _reason(error: Any) -> str:
    """Give the reason in the details of an error; empty: it has none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""


def _is_clear(error: Any) -> bool:
    """Tell whether an error says what is wrong with the call."""
    status = error.code().name
    if status == "UNAVAILABLE":  # for good reason: it asked for what is not there yet
        return _reason(error) == "VERSION_NOT_REACHED"
    if status == "UNIMPLEMENTED":
        return True
    return status not in _NOT_ONES_OWN_FAULT and bool(_reason(error))


def test_no_message_is_more_than_an_error(
    channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    caller = Caller(channel)

    @given(st.lists(_calls(), min_size=_IN_A_ROUND, max_size=_IN_A_ROUND))
    @settings(
        max_examples=_ROUNDS,
        suppress_health_check=list(HealthCheck),
        # What fails is told as it is: to make it smaller would take minutes.
        phases=[Phase.generate],
    )
    def check(calls: list[tuple[str, bytes]]) -> None:
        for path, data in calls:
            error = caller.call(path, data)
            assert error is None or _is_clear(error), (path, data, error)
        assert caller.is_well()

    check()
    assert caller.sent >= _ENOUGH
    assert caller.seen >= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
