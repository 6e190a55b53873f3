"""Ask a gateway in front of a real server, and look at what comes back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    execution_pb2,
    rerank_service_pb2,
)
from tests.e2e.running import KEY_VARIABLE, Running, running
from tests.real_servers.kinds import PATIENCE_S, Kind

QUERY = "How do I restore a database backup after a failed disk?"

TEXTS = (
    "The cafeteria serves vegetable soup on Mondays and grilled fish on Fridays.",
    "Database indexes speed up reads at the cost of slower writes and extra storage.",
    "Backups are taken every night at two and kept for thirty days on separate disks.",
    (
        "Restoring a backup: stop the database service, copy the most recent full"
        " backup onto the replacement disk, replay the write-ahead log up to the moment"
        " of failure and start the service again."
    ),
    "A failed disk should be replaced before the array is rebuilt.",
)
"""The best one is neither the first nor the last."""


class Asked:
    """A gateway that runs, as its callers see it."""

    def __init__(self, gateway: Running, kind: Kind) -> None:
        self._gateway = gateway
        self._kind = kind
        self._backends = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)

    async def rerank(
        self, texts: Sequence[str] = TEXTS, *, query: str = QUERY, **more: Any
    ) -> rerank_service_pb2.RerankResponse:
        request = rerank_service_pb2.RerankRequest(
            query=query,
            search_method="rrf_hybrid",
            documents=[document_pb2.Document(text=text) for text in texts],
            top_k=len(texts),
            **more,
        )
        return await self._gateway.stub.Rerank(request, timeout=PATIENCE_S)

    async def check(self) -> backend_service_pb2.CheckBackendResponse:
        request = backend_service_pb2.CheckBackendRequest(name=self._kind.dialect)
        return await self._backends.CheckBackend(request, timeout=PATIENCE_S)

    async def state(self) -> str:
        """Probe it, and name what was found."""
        found = await self.check()
        assert found.available == (found.state == backend_pb2.BACKEND_STATE_READY)
        name = backend_pb2.BackendState.Name(found.state)
        return name.removeprefix("BACKEND_STATE_")


@asynccontextmanager
async def asking(
    kind: Kind, settings: dict[str, Any], key: str = ""
) -> AsyncIterator[Asked]:
    """Run a gateway in front of a server of this kind."""
    if key:
        settings["backends"][kind.dialect]["api_key_env"] = KEY_VARIABLE
    async with running(settings, environ={KEY_VARIABLE: key} if key else {}) as gateway:
        yield Asked(gateway, kind)


def assert_reranked(
    response: rerank_service_pb2.RerankResponse, calls: int | None = 1
) -> None:
    """Check that a model made the order, at the first try."""
    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED, response.message
    assert response.search_method == "rrf_hybrid+rerank"
    assert not response.fallback_triggered
    if calls is not None:
        assert len(execution.attempts) == calls
    raw = [r.raw_score for r in response.results if r.HasField("raw_score")]
    assert raw == sorted(raw, reverse=True)


def assert_fell_back(
    response: rerank_service_pb2.RerankResponse,
    *reasons: str,
    texts: Sequence[str] = TEXTS,
) -> None:
    """Check that the caller's order stands, and that the answer says why: one of these."""
    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    told = execution_pb2.FallbackReason.Name(execution.fallback_reason)
    assert told.removeprefix("FALLBACK_REASON_") in reasons, response.message
    assert response.fallback_triggered
    assert response.search_method == "rrf_hybrid"
    assert [result.index for result in response.results] == list(range(len(texts)))
    assert not any(result.HasField("rerank_score") for result in response.results)
    assert not execution.backend
    assert execution.scored_count == 0


def assert_same(
    response: rerank_service_pb2.RerankResponse,
    direct: Sequence[float],
    tolerance: float,
) -> None:
    """Check scores and order against what the server says to anybody who asks."""
    assert sorted(result.index for result in response.results) == list(
        range(len(direct))
    )
    for result in response.results:
        assert abs(result.raw_score - direct[result.index]) <= tolerance
    placed = [direct[result.index] for result in response.results]
    for better, worse in pairwise(placed):
        assert better >= worse - 2 * tolerance
