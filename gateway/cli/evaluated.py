"""Put the queries of an evaluation to a gateway, in one configuration after the other."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import Progress

from gateway.cli.configurations import request_of
from gateway.cli.console import literal_console
from gateway.evaluation.reading import Questions
from rerank.v1 import search_service_pb2

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.search_service_pb2_grpc import SearchServiceAsyncStub

DEPTH = 100
"""Results asked for: as deep as the deepest measure looks."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a gateway answered in one configuration."""

    search_method: str
    """The one asked for."""
    orders: dict[str, list[str]]
    """By query: the ids of what was found, best first."""
    durations_s: tuple[float, ...]
    """Of each call, as the caller sees it."""
    degraded: dict[str, int]
    """How many answers did less than was asked of them, by what they say of themselves."""


async def ask_all(
    stub: "SearchServiceAsyncStub",
    collection: str,
    questions: Questions,
    configurations: Sequence[str],
    *,
    timeout_s: float,
) -> list[Evaluated]:
    """Ask every question in every configuration, one call at a time.

    Args:
        stub: Connected to a gateway.
        collection: Where to search.
        questions: What to search for.
        configurations: Each a `search_method` of a search.
        timeout_s: For one call.

    Raises:
        grpc.RpcError: A call fails; what only degrades is counted.

    """
    found = []
    console = literal_console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bars:
        for each in configurations:
            bar = bars.add_task(each, total=len(questions.queries))
            searched = _Searched(each)
            for query, text in questions.queries.items():
                request = request_of(
                    each, query=text, collection=collection, limit=DEPTH
                )
                if not searched.orders:
                    # What is loaded at the first call is no latency of the others.
                    await stub.Search(request, timeout=timeout_s)
                began = time.perf_counter()
                response = await stub.Search(request, timeout=timeout_s)
                searched.add(query, response, duration_s=time.perf_counter() - began)
                bars.advance(bar)
            found.append(searched.evaluated())
    return found


class _Searched:
    """Collects what one configuration is answered."""

    def __init__(self, search_method: str) -> None:
        self._search_method = search_method
        self.orders: dict[str, list[str]] = {}
        self._durations_s: list[float] = []
        self._degraded: Counter[str] = Counter()

    def add(
        self,
        query: str,
        response: search_service_pb2.SearchResponse,
        *,
        duration_s: float,
    ) -> None:
        self.orders[query] = [result.id for result in response.results]
        self._durations_s.append(duration_s)
        if response.search_method != self._search_method:
            self._degraded[f"answered as {response.search_method}"] += 1
        elif response.fallback_triggered:
            self._degraded[response.message] += 1

    def evaluated(self) -> Evaluated:
        return Evaluated(
            search_method=self._search_method,
            orders=self.orders,
            durations_s=tuple(self._durations_s),
            degraded=dict(self._degraded),
        )
