"""Post JSON to a backend: what every vendor has in common, whatever is asked of it.

Everything that can go wrong on the way leaves as a `BackendError`.
"""

import asyncio
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import orjson

from gateway.backends.dialect import Refusal
from gateway.backends.errors import BackendError, Internal, Malformed, Unavailable
from gateway.backends.reading import ContractBrokenError, Json
from gateway.backends.refusal import by_status
from gateway.backends.transport import (
    NOT_CONNECTED,
    TRANSPORT_ERRORS,
    Transport,
)

T = TypeVar("T")

_OK = 200

# What a mistake in a dialect raises: its callers keep their documents all the same.
_BUGS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, read whole."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Wire(Protocol):
    """Watches what goes over the wire to one endpoint."""

    @property
    def listens(self) -> bool:
        """Whether what comes back is looked at: to read it for nobody takes a while."""

    def sending(self) -> Mapping[str, str]:
        """Give headers that go along with a call."""

    def received(self, status: int | str, headers: Mapping[str, str]) -> None:
        """Look at the head of an answer.

        Args:
            status: The number of HTTP's, or the name of gRPC's.
            headers: Names in lower case.

        """


class _Unwatched:
    """Nobody looks."""

    listens = False

    def sending(self) -> Mapping[str, str]:
        """Add nothing."""
        return {}

    def received(self, status: int | str, headers: Mapping[str, str]) -> None:
        """Look away."""


UNWATCHED: Wire = _Unwatched()


class Poster:
    """Posts to one endpoint.

    Args:
        backend: What the backend is called in errors.
        url: The full endpoint.
        headers: Sent with every call; may hold the key, and is never shown.
        transport: The sockets; the caller closes it.
        refusal: What an answer other than success means to the vendor; None leaves it
            to its status.
        wire: Watches each call.

    """

    def __init__(
        self,
        *,
        backend: str,
        url: str,
        headers: Mapping[str, str],
        transport: Transport,
        refusal: Callable[[Refusal], BackendError | None],
        wire: Wire = UNWATCHED,
    ) -> None:
        self._wire = wire
        self._backend = backend
        self._url = url
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            # A compressed answer could be small on the wire and huge in memory.
            "Accept-Encoding": "identity",
            **headers,
        }
        self._transport = transport
        self._refusal = refusal

    async def post(self, payload: bytes, *, max_answer_bytes: int) -> Answer:
        """Send a body and give the answer.

        Raises:
            BackendError: No answer, a refusal, or an answer that is too long.

        """
        try:
            reply = await self._transport.send(
                "POST",
                self._url,
                headers={**self._headers, **self._wire.sending()},
                body=payload,
                max_answer_bytes=max_answer_bytes,
            )
        except TRANSPORT_ERRORS as error:
            # The cause names it: aiohttp has one kind for all that prevents a connection.
            cause = type(error.__cause__ or error).__name__
            lost = not isinstance(error, NOT_CONNECTED)
            detail = f"no answer ({cause})"
            raise Unavailable(self._backend, detail, lost=lost) from error
        if self._wire.listens:
            self._wire.received(reply.status, reply.headers)
        if reply.status != _OK:
            refusal = Refusal(
                backend=self._backend,
                status=reply.status,
                headers=reply.headers,
                payload=None if reply.body is None else parsed_or_none(reply.body),
            )
            raise self._refusal(refusal) or by_status(refusal)
        if reply.body is None:
            detail = f"an answer of over {max_answer_bytes} bytes"
            raise Malformed(self._backend, detail)
        return Answer(reply.headers, reply.body)


@contextmanager
def translated(backend: str, body: bytes = b"") -> Iterator[None]:
    """Turn what encoding and decoding raise into errors of the backend, or of ours.

    Args:
        backend: What the backend is called in errors.
        body: What is decoded.

    """
    try:
        yield
    except orjson.JSONDecodeError as error:
        raise Malformed(backend, _not_json(body)) from error
    except ContractBrokenError as error:
        raise Malformed(backend, str(error)) from error
    except _BUGS as error:
        raise Internal(backend, _place(error)) from error


async def in_a_thread_if(
    large: bool,  # noqa: FBT001 - reads as a sentence where it is called
    work: Callable[..., T],
    *args: object,
) -> T:
    """Run small work here and large work in a thread."""
    return await asyncio.to_thread(work, *args) if large else work(*args)


def parsed_or_none(body: bytes) -> Json:
    """Parse a body that need not be JSON, such as a proxy's error page."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _not_json(body: bytes) -> str:
    if not body.strip():
        return "an empty body"
    return "HTML" if body.lstrip()[:1] == b"<" else "a body that is not JSON"


def _place(error: Exception) -> str:
    """Say where a bug is, without its message, which may quote a document."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rsplit("/", 1)[-1]
    return f"a bug: {type(error).__name__} at {file}:{frame.lineno}"
