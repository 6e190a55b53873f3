"""The seam to whoever watches: told of all that takes time, while it does.

Parts report to an `Observer` and never know who listens; `gateway.telemetry` does. What
happens in a moment is an event (`gateway.events`). Which call a report belongs to follows
from the context that it is made in, which every task takes from the one that begins it.

Each method gives a context manager, whose value is told what came out of it; it sees by
itself what was raised or cancelled instead.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gateway.backends.errors import Attempt
from gateway.contract import Rerank, Reranked, Stage

if TYPE_CHECKING:
    from gateway.searching.finding import Candidates

T = TypeVar("T")

Tell = Callable[[T], None]
"""Takes what came out."""

Count = Callable[[float, float], None]
"""Counts an answer: how long it took, and how long it might have taken, in seconds."""

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""Of the call that is served here, 32 hexadecimal digits; empty: it is not traced."""


@dataclass(frozen=True, slots=True)
class Call:
    """An RPC that began."""

    method: str
    """`package.Service/Method`; `_OTHER` where there is no such method."""
    metadata: Sequence[tuple[str, str | bytes]]
    """What the caller sent beside the message. Never to be recorded."""
    streams: bool = False
    """It may have several answers."""
    face: str = ""
    """Whose API the caller speaks over HTTP, such as `tei`; empty: gRPC."""
    tenant: str = ""
    """Who called, as its credentials prove; empty: none were asked for, or shown."""
    debug: bool = False
    """The caller wants to know how its answer came about."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How an RPC ended."""

    status: str
    """The name of the status that the caller got, such as `DEADLINE_EXCEEDED`."""
    duration_s: float


class Answering(Protocol):
    """Watches one RPC."""

    def answered(self, request: object, response: object) -> None:
        """Look at one message that goes to the caller, as it is."""

    def ended(self, end: CallEnd) -> None:
        """Learn how the call ended; nothing more of it comes."""


class Observer(Protocol):
    """Watches what takes time."""

    def call(self, call: Call, /) -> AbstractContextManager[Answering]:
        """Watch one RPC."""

    def item(self) -> AbstractContextManager[Tell[Reranked]]:
        """Watch one of the many requests of a call; what is done for it is done within."""

    def retrieval(
        self, *, requested: str
    ) -> AbstractContextManager[Tell["Candidates"]]:
        """Watch stage 1 of a search.

        Args:
            requested: The `search_method` of the answer if all stages succeed.

        """

    def diversity(self) -> AbstractContextManager[Tell[Stage]]:
        """Watch MMR choose."""

    def rerank(
        self, ask: Rerank, /, *, budget_s: float
    ) -> AbstractContextManager[Tell[Reranked]]:
        """Watch a rerank, whatever becomes of it.

        Args:
            ask: What is asked.
            budget_s: How long it may take.

        """

    def repeated(self, ask: Rerank, reranked: Reranked, /) -> Count:
        """Give what counts a rerank whose whole answer is given again from memory."""

    def attempt(
        self, *, backend: str, remote: bool, document_count: int, work: str = "score"
    ) -> AbstractContextManager[Tell[Attempt]]:
        """Watch one call to a backend, or to the embedder.

        Args:
            backend: Its configured name.
            remote: It runs in another process.
            document_count: How many texts it is asked about, beside a query.
            work: What it is asked to do, `score` or `embed`.

        """


class _Unwatched:
    """Watches one RPC and looks away."""

    def answered(self, request: object, response: object) -> None:
        """Look away."""

    def ended(self, end: CallEnd) -> None:
        """Look away."""


def _count_nothing(_: float, __: float) -> None:
    """Count nothing."""


def _ignore(_: object) -> None:
    """Take what came out and forget it."""


class Unobserved:
    """Watches nothing, at no cost."""

    def call(self, _: Call, /) -> AbstractContextManager[Answering]:
        """Look away."""
        return _UNWATCHED

    def item(self) -> AbstractContextManager[Tell[Reranked]]:
        """Look away."""
        return _IGNORED

    def retrieval(self, **_: object) -> AbstractContextManager[Tell["Candidates"]]:
        """Look away."""
        return _IGNORED

    def diversity(self) -> AbstractContextManager[Tell[Stage]]:
        """Look away."""
        return _IGNORED

    def rerank(
        self, _: Rerank, /, **__: object
    ) -> AbstractContextManager[Tell[Reranked]]:
        """Look away."""
        return _IGNORED

    def repeated(self, _: Rerank, __: Reranked, /) -> Count:
        """Look away."""
        return _count_nothing

    def attempt(self, **_: object) -> AbstractContextManager[Tell[Attempt]]:
        """Look away."""
        return _IGNORED


_UNWATCHED: AbstractContextManager[Answering] = nullcontext(_Unwatched())
_IGNORED: AbstractContextManager[Tell[Any]] = nullcontext(_ignore)

UNOBSERVED = Unobserved()
