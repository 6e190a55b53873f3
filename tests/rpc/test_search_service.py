"""`rerank.v1.SearchService` against a real server: answers, mistakes, callers who leave."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.contract import Execution, Outcome
from gateway.errors import CollectionNotFound, InvalidRequest, Violation
from gateway.retrieval.retriever import Document
from gateway.rpc.guard import Guard
from gateway.rpc.requests import Limits
from gateway.rpc.search_service import SERVICE, SearchService
from gateway.searching import Searching
from gateway.searching.contract import Explanation, Result, ScoreKind, Search, Searched
from rerank.v1 import execution_pb2, search_service_pb2, search_service_pb2_grpc

pytestmark = pytest.mark.real_time

LIMITS = Limits(max_documents=3, max_document_bytes=20, max_query_bytes=10)
SearchRequest = search_service_pb2.SearchRequest
ProgressiveRequest = search_service_pb2.SearchProgressiveRequest
ONE = SearchRequest(query="q")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    # gRPC hands what is late to whichever loop comes next, so there is one for all.
    return "asyncio"


@pytest.fixture(scope="module")
async def runner_task() -> AsyncIterator[asyncio.Task[Any] | None]:
    """Tell which task runs the tests."""
    yield asyncio.current_task()  # noqa: PT022 - it holds the loop open


def found(text: str = "text") -> Searched:
    return Searched(
        results=(
            Result(
                id="a",
                index=0,
                rank=1,
                search_method="fulltext",
                retrieval_score=7.5,
                score=7.5,
                score_kind=ScoreKind.RETRIEVAL,
                document=Document(id="a", title="", text=text, vector=None),
                explanation=Explanation(bm25_rank=1),
            ),
        ),
        search_method="fulltext",
        message="BM25",
        fallback_triggered=False,
        execution=Execution(
            outcome=Outcome.NOT_REQUESTED, route="default", duration_s=0.25
        ),
        version=7,
    )


def pending(answer: Searched) -> Searched:
    return replace(answer, execution=replace(answer.execution, outcome=Outcome.PENDING))


class Playing(Searching):
    """Answers as it is told, the second time only when it may."""

    def __init__(
        self, answer: Searched | None = None, error: Exception | None = None
    ) -> None:
        self.answer = answer or found()
        self.error = error
        self.asked: list[Search] = []
        self.answering = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.went_on = False
        self.ended = asyncio.Event()

    async def search(self, ask: Search) -> Searched:
        self.asked.append(ask)
        if self.error:
            raise self.error
        return self.answer

    async def progressively(self, ask: Search) -> AsyncGenerator[Searched]:
        self.asked.append(ask)
        try:
            if self.error:
                raise self.error
            self.answering.set()
            yield pending(self.answer)
            self.went_on = True
            await self.may_go_on.wait()
            yield self.answer
        finally:
            # What takes its time at the end is waited for, too.
            await asyncio.sleep(0.01)
            self.ended.set()


@asynccontextmanager
async def serving(
    searching: Playing,
) -> AsyncIterator["search_service_pb2_grpc.SearchServiceAsyncStub"]:
    """Serve searches behind the guard, on a free port."""
    before = asyncio.all_tasks()
    server = grpc.aio.server(interceptors=[Guard()])
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(
        SearchService(searching=searching, limits=LIMITS), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield search_service_pb2_grpc.SearchServiceStub(channel)
    finally:
        await server.stop(None)
        # gRPC ends what it began for a call a moment after it says that it stopped.
        if late := asyncio.all_tasks() - before:
            await asyncio.wait(late, timeout=10)


def violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # it knows no asyncio
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert any(each.Unpack(bad) for each in status.details)
    return [(each.field, each.description) for each in bad.field_violations]


async def refusal(
    stub: "search_service_pb2_grpc.SearchServiceAsyncStub",
    request: search_service_pb2.SearchProgressiveRequest,
) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(aiter(stub.SearchProgressive(request)))
    return raised.value


# Once


def test_the_service_has_the_name_of_the_contract() -> None:
    (service,) = search_service_pb2.DESCRIPTOR.services_by_name.values()
    assert service.full_name == SERVICE


async def test_a_search_is_read_asked_and_written() -> None:
    searching = Playing()
    async with serving(searching) as stub:
        response = await stub.Search(
            SearchRequest(query="why", collection="papers"), timeout=60
        )
    assert [each.id for each in response.results] == ["a"]
    assert response.results[0].document.text == "text"
    assert not response.results[0].HasField("explanation")
    assert response.version == 7
    (ask,) = searching.asked
    assert (ask.query, ask.collection) == ("why", "papers")


async def test_a_deadline_is_one_in_event_loop_seconds() -> None:
    searching = Playing()
    async with serving(searching) as stub:
        before = asyncio.get_running_loop().time()
        await stub.Search(ONE, timeout=60)
        after = asyncio.get_running_loop().time()
        await stub.Search(ONE)
    with_deadline, without = searching.asked
    assert with_deadline.deadline is not None
    assert before + 59 < with_deadline.deadline < after + 61
    assert without.deadline is None


async def test_the_caller_is_told_of() -> None:
    searching = Playing()
    async with serving(searching) as stub:
        await stub.Search(ONE, metadata=[("x-rerank-caller", "team-a")])
        await stub.Search(ONE)
    assert searching.asked[0].caller == "team-a"
    assert searching.asked[1].caller in ("ipv4:127.0.0.1", "ipv6:[::1]")


async def test_what_the_answer_is_to_contain_is_the_requests_to_say() -> None:
    async with serving(Playing(found(text="x" * 80_000))) as stub:
        explained = await stub.Search(SearchRequest(query="q", explain=True))
        short = await stub.Search(SearchRequest(query="q", max_response_bytes=65_536))
    assert explained.results[0].explanation.bm25_rank == 1
    assert explained.results[0].HasField("document")
    assert not short.results[0].HasField("document")


async def test_a_client_with_the_default_bound_can_read_every_answer() -> None:
    many = replace(found(), results=found("x" * 2**20).results * 5)
    searching = Playing(many)
    searching.may_go_on.set()
    async with serving(searching) as stub:
        once = await stub.Search(ONE)
        twice = [
            each
            async for each in stub.SearchProgressive(ProgressiveRequest(search=ONE))
        ]
    answers = [once, *(each.search_response for each in twice)]
    assert len(answers) == 3
    for answer in answers:
        kept = [each.HasField("document") for each in answer.results]
        assert kept == [True, True, True, False, False]


async def test_every_mistake_arrives_with_its_path() -> None:
    searching = Playing()
    async with serving(searching) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Search(SearchRequest(limit=-1, max_per_group=-1))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [field for field, _ in violations(raised.value)] == [
        "query",
        "limit",
        "max_per_group",
    ]
    assert not searching.asked


async def test_a_collection_that_there_is_not_is_not_found() -> None:
    async with serving(Playing(error=CollectionNotFound("papers"))) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Search(ONE)
        error = await refusal(stub, ProgressiveRequest(search=ONE))
    assert raised.value.code() is error.code() is grpc.StatusCode.NOT_FOUND


# Progressively


async def test_a_progressive_search_answers_twice() -> None:
    searching = Playing()
    async with serving(searching) as stub:
        answers = aiter(stub.SearchProgressive(ProgressiveRequest(search=ONE)))
        first = await anext(answers)
        # The first one is there before there is a second one.
        assert not searching.may_go_on.is_set()
        searching.may_go_on.set()
        rest = [each async for each in answers]
    assert not first.final
    assert first.search_response.execution.outcome == execution_pb2.OUTCOME_PENDING
    (last,) = rest
    assert last.final
    assert last.search_response.execution.outcome == execution_pb2.OUTCOME_NOT_REQUESTED
    assert [each.id for each in last.search_response.results] == ["a"]
    assert searching.ended.is_set()


async def test_what_is_around_a_progressive_answer_counts_as_well() -> None:
    request = SearchRequest(query="q", max_response_bytes=65_536)
    searching = Playing(found("x" * 60_000))
    searching.may_go_on.set()
    async with serving(searching) as stub:
        spare = 65_536 - (await stub.Search(request)).ByteSize()
        searching.answer = found("x" * (60_000 + spare))
        once = await stub.Search(request)
        call = stub.SearchProgressive(ProgressiveRequest(search=request))
        twice = [each async for each in call]
    assert once.ByteSize() == 65_536
    assert once.results[0].HasField("document")
    assert all(each.ByteSize() <= 65_536 for each in twice)


async def test_a_progressive_search_needs_a_search() -> None:
    async with serving(Playing()) as stub:
        error = await refusal(stub, ProgressiveRequest())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == [("search", "is required")]


async def test_mistakes_in_a_progressive_search_are_told_below_search() -> None:
    request = SearchRequest(query="q")
    request.retrieval.candidates = 1
    request.rerank.top_k = 0
    async with serving(Playing()) as stub:
        error = await refusal(stub, ProgressiveRequest(search=request))
    assert [field for field, _ in violations(error)] == [
        "search.retrieval.candidates",
        "search.rerank.top_k",
    ]


async def test_so_are_those_that_only_the_collection_shows() -> None:
    mistake = InvalidRequest((Violation("filter.eq.field", "is no declared field"),))
    async with serving(Playing(error=mistake)) as stub:
        error = await refusal(stub, ProgressiveRequest(search=ONE))
    assert violations(error) == [("search.filter.eq.field", "is no declared field")]


async def test_a_caller_who_leaves_after_the_first_answer_ends_the_search(
    caplog: pytest.LogCaptureFixture,
) -> None:
    searching = Playing()
    with caplog.at_level(logging.WARNING):
        async with serving(searching) as stub:
            call = stub.SearchProgressive(ProgressiveRequest(search=ONE))
            await anext(aiter(call))
            assert not searching.ended.is_set()
            call.cancel()
            await asyncio.wait_for(searching.ended.wait(), timeout=10)
    assert not caplog.text


async def test_so_does_a_deadline() -> None:
    searching = Playing()
    async with serving(searching) as stub:
        call = stub.SearchProgressive(ProgressiveRequest(search=ONE), timeout=0.2)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            [each async for each in call]
        await asyncio.wait_for(searching.ended.wait(), timeout=10)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_caller_who_leaves_without_reading_ends_the_search() -> None:
    # More than flow control lets through, so the server waits for room to write.
    request = SearchRequest(query="q", max_response_bytes=2**30)
    searching = Playing(replace(found(), results=found("x" * 2**20).results * 32))
    async with serving(searching) as stub:
        call = stub.SearchProgressive(ProgressiveRequest(search=request))
        await searching.answering.wait()
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.wait_for(searching.ended.wait(), timeout=10)
    assert not searching.went_on
