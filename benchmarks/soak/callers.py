"""Callers who ask about much the same, in a hurry, and look closely at every answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

import grpc

from benchmarks.soak.vendors import score_of
from gateway.ranking.method import SEARCH_METHODS
from rerank.v1 import (
    document_pb2,
    execution_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)

_SEED = 55
_RATE = 60.0
_MOST_AT_ONCE = 300
_QUERIES = 200
_DOCUMENTS_OF_QUERY = 60
_DOCUMENTS = 20
_TIMEOUTS_S = (0.5, 1.0, 2.0, 4.0)
_LEAVES = 0.02
_FOUND_BY = "rrf_hybrid"
_TICK_S = 0.01
_STALL_S = 0.015


@dataclass(slots=True)
class Seen:
    """What became of all calls."""

    answers: int = 0
    late: int = 0
    stalled: int = 0
    """Late too, while the machine let this process wait as well: it says nothing."""
    left: int = 0
    """Given up by the caller, on purpose."""
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Errors, and whatever is not true about an answer."""


@asynccontextmanager
async def calling(address: str) -> AsyncIterator[Seen]:
    """Let callers come at random until the block ends; those who came still get theirs."""
    seen = Seen()
    async with grpc.aio.insecure_channel(address) as channel:
        stub: rerank_service_pb2_grpc.RerankServiceAsyncStub
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        stalls = _Stalls()
        async with asyncio.TaskGroup() as calls:
            watching = calls.create_task(stalls.watch())
            coming = calls.create_task(_coming(stub, seen, stalls, calls))
            try:
                yield seen
            finally:
                coming.cancel()
                watching.cancel()


class _Stalls:
    """Notes when this process, which has little to do, came late to it."""

    def __init__(self) -> None:
        self._last = -1.0

    async def watch(self) -> None:
        """Look until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + _TICK_S
            await asyncio.sleep(_TICK_S)
            if now() - due > _STALL_S:
                self._last = now()

    def since(self, when: float) -> bool:
        """Tell whether there was one since then."""
        return self._last >= when


async def _coming(
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub",
    seen: Seen,
    stalls: _Stalls,
    calls: asyncio.TaskGroup,
) -> None:
    chance = Random(_SEED)  # noqa: S311 - it plays
    places = asyncio.Semaphore(_MOST_AT_ONCE)

    async def one(request: rerank_service_pb2.RerankRequest, timeout_s: float) -> None:
        async with places:
            await _call(stub, request, timeout_s, seen, stalls)

    async def one_who_leaves(
        request: rerank_service_pb2.RerankRequest, after_s: float
    ) -> None:
        call = stub.Rerank(request, timeout=10)
        await asyncio.sleep(after_s)
        call.cancel()
        with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            await call
        seen.left += 1

    while True:
        await asyncio.sleep(chance.expovariate(_RATE))
        request = _request(chance)
        if chance.random() < _LEAVES:
            calls.create_task(one_who_leaves(request, chance.uniform(0, 0.2)))
        else:
            calls.create_task(one(request, chance.choice(_TIMEOUTS_S)))


def _request(chance: Random) -> rerank_service_pb2.RerankRequest:
    query = chance.randrange(_QUERIES)
    places = chance.sample(range(_DOCUMENTS_OF_QUERY), _DOCUMENTS)
    return rerank_service_pb2.RerankRequest(
        query=f"question {query}",
        search_method=_FOUND_BY,
        route=chance.choice(("default", "part")),
        documents=[
            # Documents overlap between queries, too.
            document_pb2.Document(id=str(n), text=f"document {n} " + "word " * 40)
            for n in (query * 10 + place for place in places)
        ],
    )


async def _call(
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub",
    request: rerank_service_pb2.RerankRequest,
    timeout_s: float,
    seen: Seen,
    stalls: _Stalls,
) -> None:
    began = asyncio.get_running_loop().time()
    try:
        answer = await stub.Rerank(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            if stalls.since(began):
                seen.stalled += 1
            else:
                seen.late += 1
        else:
            seen.wrong.append(f"{error.code().name}: {error.details()}")
        return
    seen.answers += 1
    outcome = execution_pb2.Outcome.Name(answer.execution.outcome)
    seen.outcomes[outcome.removeprefix("OUTCOME_")] += 1
    seen.wrong.extend(_untrue(request, answer))


def _untrue(
    request: rerank_service_pb2.RerankRequest,
    answer: rerank_service_pb2.RerankResponse,
) -> list[str]:
    """Name everything that an answer says and that is not so."""
    found = []
    if sorted(each.id for each in answer.results) != sorted(
        each.id for each in request.documents
    ):
        found.append("documents were lost")
    labels = {answer.search_method, *(each.search_method for each in answer.results)}
    if not labels <= SEARCH_METHODS:
        found.append(f"labels that nobody knows: {labels - SEARCH_METHODS}")
    has_scores = any(each.HasField("raw_score") for each in answer.results)
    if has_scores != answer.search_method.endswith("+rerank"):
        found.append(f"{answer.search_method}, with scores: {has_scores}")
    for each in answer.results:
        scored = each.HasField("rerank_score")
        if scored != each.search_method.endswith("+rerank"):
            found.append(f"a result is {each.search_method}, scored: {scored}")
        right = score_of(
            answer.execution.backend, request.query, request.documents[each.index].text
        )
        if scored and each.raw_score != right:
            found.append(f"a score is {each.raw_score} and not {right}")
    return found
