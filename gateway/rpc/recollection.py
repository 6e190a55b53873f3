"""Remember whole answers as bytes, by the bytes of what was asked.

An answer all of whose scores were remembered is the same every time, but for its
`execution`. Reading a request of a hundred documents and writing its answer takes most of
what such a call costs, and is not needed a second time. Whether the scores are remembered
still is asked each time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from cachetools import LRUCache

from gateway.contract import Execution, Outcome, Reranked
from gateway.observing import Count
from gateway.rpc.responses import write_execution
from rerank.v1 import rerank_service_pb2

# Keys and entries of a hundred documents, beside the bytes.
_BYTES_PER_RESULT = 100
_BYTES_PER_ANSWER = 2000


@dataclass(frozen=True, slots=True)
class Recalled:
    """An answer that was remembered as a whole."""

    data: bytes
    """As it goes to the caller."""
    answer: rerank_service_pb2.RerankResponse
    """The same without its results."""
    returned: int
    """How many results it has."""


@dataclass(frozen=True, slots=True)
class _Known:
    again: Callable[[], bool]
    results: bytes
    """The answer without its `execution`."""
    returned: int
    search_method: str
    message: str
    execution: Execution
    count: Count


class Recollection:
    """Holds the last answers, bounded by bytes.

    Args:
        max_bytes: About how much memory they may take; 0 remembers none.

    """

    def __init__(self, *, max_bytes: int) -> None:
        self._known: LRUCache[bytes, _Known] = LRUCache(max_bytes, getsizeof=_size)

    def key(self, request: bytes) -> bytes:
        """Name a request; two that differ in anything have different names."""
        return sha256(request).digest()

    def recall(
        self, key: bytes, *, duration_s: Callable[[], float], budget_s: float | None
    ) -> Recalled | None:
        """Give the answer, if it would be the same again.

        Args:
            key: Of the request.
            duration_s: Tells how long the call has taken.
            budget_s: How long it may take; None: there is no bound.

        """
        known = self._known.get(key)
        if known is None:
            return None
        if not known.again():
            del self._known[key]
            return None
        took_s = duration_s()
        known.count(took_s, budget_s)
        stages = tuple(
            replace(each, duration_s=took_s) for each in known.execution.stages
        )
        answer = rerank_service_pb2.RerankResponse(
            search_method=known.search_method,
            message=known.message,
            execution=write_execution(
                replace(known.execution, duration_s=took_s, stages=stages)
            ),
        )
        # What is said twice in a message holds as it is said last; two parts of one
        # message are one.
        return Recalled(
            known.results + answer.SerializeToString(), answer, known.returned
        )

    def remember(
        self,
        key: bytes,
        reranked: Reranked,
        response: rerank_service_pb2.RerankResponse,
        count: Count,
    ) -> None:
        """Keep an answer, if it can be given again.

        Args:
            key: Of the request.
            reranked: The answer.
            response: The same as it goes to the caller.
            count: Counts it when it is given again.

        """
        if reranked.again is None or reranked.execution.outcome is not Outcome.RERANKED:
            return
        results = rerank_service_pb2.RerankResponse(
            fallback_triggered=response.fallback_triggered
        )
        results.results.extend(response.results)
        known = _Known(
            again=reranked.again,
            results=results.SerializeToString(),
            returned=len(response.results),
            search_method=response.search_method,
            message=response.message,
            execution=reranked.execution,
            count=count,
        )
        if _size(known) <= self._known.maxsize:
            self._known[key] = known


def _size(known: _Known) -> int:
    scores = known.execution.scored_count
    return _BYTES_PER_ANSWER + len(known.results) + scores * _BYTES_PER_RESULT
