"""Exporters that keep nothing of what they could not send.

An error's traceback holds the calls that it came through, and these hold the error, and the
batch: megabytes that refer to each other, and that stay until somebody looks for garbage
among what is old. That is seldom, and an outage is long.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from opentelemetry.exporter.http.transport._base import (
    BaseHTTPResult,
    BaseHTTPTransport,
)

E = TypeVar("E")


def forgetful(exporter: E) -> E:
    """Let one of OpenTelemetry's exporters not keep errors for metrics about itself."""
    exporter._metrics = _NoMetrics()  # type: ignore[attr-defined] # noqa: SLF001 - no other way
    return exporter


def forgetful_over_http(exporter: E) -> E:
    """Do the same for one that sends over HTTP, and may keep errors of its connection."""
    client = exporter._client  # type: ignore[attr-defined] # noqa: SLF001 - no other way
    client._transport = _Transport(client._transport)  # noqa: SLF001 - no other way
    return forgetful(exporter)


class _Transport:
    """Sends, and takes the tracebacks off the errors that it gives back."""

    def __init__(self, transport: BaseHTTPTransport) -> None:
        self._transport = transport
        self.is_connection_error = transport.is_connection_error
        self.close = transport.close

    def request(self, *args: Any, **more: Any) -> BaseHTTPResult:  # noqa: ANN401 - not ours
        """Send a request."""
        result = self._transport.request(*args, **more)
        _cut(result.error)
        return result


class _NoMetrics:
    """Of an exporter about itself."""

    def export_operation(self, _: int) -> AbstractContextManager["_Outcome"]:
        """Begin an export."""
        return nullcontext(_Outcome())


class _Outcome:
    """Of one export: takes what an exporter says of it, and forgets that."""

    def __setattr__(self, _: str, value: object) -> None:
        if isinstance(value, BaseException):
            _cut(value)


def _cut(error: BaseException | None) -> None:
    """Take the tracebacks off an error and those that it came from."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
