"""Where the gateway is, and what goes with every call to it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import grpc
from grpc import aio

from rerank_client import service_config
from rerank_client.trace_context import trace_context

# A request has at most 32 MiB, and with `return_documents` so may an answer; gRPC takes 4
# MiB unless told otherwise.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024


class ConnectionOptions(TypedDict, total=False):
    """What `RerankClient` and `AsyncRerankClient` take beside the address."""

    credentials: grpc.ChannelCredentials | None
    """TLS, for example `grpc.ssl_channel_credentials()`. None: no encryption."""

    token: str | None
    """Sent as `authorization: Bearer …`, in clear text where there is no TLS."""

    timeout_s: float | None
    """Deadline in seconds of each call that is given none of its own, `rerank_batch` and
    `import_documents` excepted. None: 10, and 30 for calls that change a collection."""

    stream_timeout_s: float
    """The same for `rerank_batch` and `import_documents`, from first to last message. 600
    by default."""

    metadata: Callable[[], Mapping[str, str]] | None
    """Asked at every call for metadata to send; keys in lower case."""

    channel_options: Sequence[tuple[str, Any]]
    """Options of gRPC's channel, written over those of the client."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An address, and the options beside it."""

    address: str
    credentials: grpc.ChannelCredentials | None = None
    token: str | None = field(default=None, repr=False)
    timeout_s: float | None = None
    stream_timeout_s: float = service_config.STREAM_TIMEOUT_S
    metadata: Callable[[], Mapping[str, str]] | None = None
    channel_options: Sequence[tuple[str, Any]] = ()

    def __post_init__(self) -> None:
        """Refuse a default deadline that is none.

        Raises:
            ValueError: It is not a number of seconds above 0.

        """
        _checked(self.stream_timeout_s)
        if self.timeout_s is not None:
            _checked(self.timeout_s)

    def open(self) -> grpc.Channel:
        """Open a channel for threads."""
        if self.credentials is None:
            return grpc.insecure_channel(self.address, self._options())
        return grpc.secure_channel(self.address, self.credentials, self._options())

    def open_aio(self) -> aio.Channel:
        """Open a channel for the running event loop."""
        if self.credentials is None:
            return aio.insecure_channel(self.address, self._options())
        return aio.secure_channel(self.address, self.credentials, self._options())

    def call_metadata(self) -> tuple[tuple[str, str], ...]:
        """Write what goes with a call: the trace, what the caller adds, the token."""
        metadata = trace_context()
        if self.metadata is not None:
            metadata.update(self.metadata())
        if self.token is not None:
            metadata["authorization"] = f"Bearer {self.token}"
        return tuple(metadata.items())

    def timeout_of_call(self, timeout_s: float | None, *, default_s: float) -> float:
        """Give the deadline of a call: its own, the client's, or that of its kind.

        Raises:
            ValueError: `timeout_s` is not a number of seconds above 0.

        """
        if timeout_s is not None:
            return _checked(timeout_s)
        return default_s if self.timeout_s is None else self.timeout_s

    def timeout_of_stream(self, timeout_s: float | None) -> float:
        """Give the deadline of a stream as long as its caller likes.

        Raises:
            ValueError: `timeout_s` is not a number of seconds above 0.

        """
        return self.stream_timeout_s if timeout_s is None else _checked(timeout_s)

    def _options(self) -> list[tuple[str, Any]]:
        options = {
            "grpc.service_config": service_config.SERVICE_CONFIG,
            "grpc.max_receive_message_length": _MAX_ANSWER_BYTES,
        }
        return list({**options, **dict(self.channel_options)}.items())


def _checked(timeout_s: float) -> float:
    # A call without an end would never be over where a gateway hangs.
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        message = f"a timeout is a number of seconds above 0, not {timeout_s}"
        raise ValueError(message)
    return timeout_s
