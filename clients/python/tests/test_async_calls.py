"""Calls from coroutines, over real sockets: deadlines, repeats, cancellation, and ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from played import (
    PATIENCE_S,
    Played,
    an_address,
    hang,
    invalid,
    serving,
    unavailable,
)

from rerank_client import (
    AsyncRerankClient,
    DeadlineExceeded,
    InvalidRequest,
    Unavailable,
)
from rerank_client.types import Document, RerankRequest


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def address(played: Played) -> Iterator[str]:
    with serving(played) as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncRerankClient]:
    async with AsyncRerankClient(address) as client:
        yield client


@pytest.fixture
async def runner_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task()


@pytest.fixture(autouse=True)
def no_task_is_left(runner_task: asyncio.Task[Any]) -> Iterator[None]:
    yield
    tasks = asyncio.all_tasks(runner_task.get_loop()) - {runner_task}
    # gRPC itself waits on for the end of a call that was cancelled.
    left = [task for task in tasks if "_AioCall." not in repr(task)]
    assert not left, f"tasks that nobody awaited: {left}"


def requests(count: int) -> list[RerankRequest]:
    return [
        RerankRequest(query=f"q{place}", documents=[Document(text="a")])
        for place in range(count)
    ]


async def over(played: Played) -> bool:
    return await asyncio.to_thread(played.calls[0].over.wait, PATIENCE_S)


# Deadlines and metadata


async def test_every_call_has_a_deadline_of_its_kind(
    played: Played, client: AsyncRerankClient
) -> None:
    await client.rerank("q", ["a"])
    await client.delete_documents(["a"])
    async for _ in client.search_progressive("q"):
        pass
    async for _ in client.rerank_batch([]):
        pass
    assert [round(call.remaining_s, -1) for call in played.calls] == [10, 30, 10, 600]


async def test_each_call_can_have_its_own_deadline(
    played: Played, client: AsyncRerankClient
) -> None:
    await client.rerank("q", ["a"], timeout_s=100)
    assert round(played.calls[0].remaining_s, -1) == 100


async def test_a_deadline_that_passes_is_an_error_and_a_timeout(
    played: Played, client: AsyncRerankClient
) -> None:
    played.behaviours = [hang]
    with pytest.raises(DeadlineExceeded) as raised:
        await client.rerank("q", ["a"], timeout_s=0.2)
    assert isinstance(raised.value, TimeoutError)


async def test_a_token_goes_with_every_call(played: Played, address: str) -> None:
    async with AsyncRerankClient(address, token="secret") as client:
        await client.rerank("q", ["a"])
        async for _ in client.rerank_batch([]):
            pass
    for call in played.calls:
        assert call.metadata["authorization"] == "Bearer secret"


# Repeats


async def test_a_call_that_fails_once_for_a_moment_is_repeated(
    played: Played, client: AsyncRerankClient
) -> None:
    played.behaviours = [unavailable]
    assert (await client.rerank("q", ["a"])).message == "q"
    assert len(played.calls) == 2


async def test_a_faulty_request_is_not_repeated(
    played: Played, client: AsyncRerankClient
) -> None:
    played.behaviours = [invalid]
    with pytest.raises(InvalidRequest):
        await client.rerank("q", ["a"])
    assert len(played.calls) == 1


async def test_what_is_not_safe_to_repeat_is_not_repeated(
    played: Played, client: AsyncRerankClient
) -> None:
    played.behaviours = [unavailable]
    with pytest.raises(Unavailable):
        await client.create_collection("papers")
    assert len(played.calls) == 1


async def test_a_call_waits_for_a_gateway_that_comes_up_late(played: Played) -> None:
    with an_address() as address:
        async with AsyncRerankClient(
            address, channel_options=[("grpc.initial_reconnect_backoff_ms", 100)]
        ) as client:
            answer = asyncio.create_task(
                client.rerank("q", ["a"], timeout_s=PATIENCE_S)
            )
            async with asyncio.timeout(PATIENCE_S):
                await _refused(client)
            with serving(played, address):
                assert (await answer).message == "q"


async def _refused(client: AsyncRerankClient) -> None:
    channel = client._calls.channel
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


# Streams


async def test_a_batch_is_answered_one_by_one(client: AsyncRerankClient) -> None:
    answers = [each async for each in client.rerank_batch(requests(20))]
    seen = {each.request_id: each.response.message for each in answers}
    assert seen == {str(place): f"q{place}" for place in range(20)}


async def test_a_batch_is_read_as_it_is_answered(client: AsyncRerankClient) -> None:
    answered = asyncio.Event()

    async def batch() -> AsyncIterator[RerankRequest]:
        first, second = requests(2)
        yield first
        await answered.wait()
        yield second

    async with aclosing(client.rerank_batch(batch())) as answers:
        assert (await anext(answers)).response.message == "q0"
        answered.set()
        assert (await anext(answers)).response.message == "q1"


async def test_a_stream_that_is_left_ends_at_the_gateway(
    played: Played, client: AsyncRerankClient
) -> None:
    async with aclosing(client.search_progressive("hang")) as answers:
        await anext(answers)
    assert await over(played)


async def test_a_batch_that_is_left_ends_at_the_gateway(
    played: Played, client: AsyncRerankClient
) -> None:
    async def batch() -> AsyncIterator[RerankRequest]:
        for request in requests(1):
            yield request
        await asyncio.Event().wait()

    async with aclosing(client.rerank_batch(batch())) as answers:
        await anext(answers)
    assert await over(played)


@pytest.mark.parametrize("sent", [0, 1])
async def test_a_batch_that_cannot_be_read_raises_its_own_error(
    played: Played,
    client: AsyncRerankClient,
    sent: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def batch() -> AsyncIterator[RerankRequest]:
        for request in requests(sent):
            yield request
        await asyncio.to_thread(played.reached.wait, PATIENCE_S)
        raise KeyError("private")

    with caplog.at_level(logging.DEBUG), pytest.raises(KeyError, match="private"):
        async for _ in client.rerank_batch(batch()):
            pass
    assert "private" not in caplog.text
    assert await over(played)


async def test_an_error_of_a_stream_is_typed(
    played: Played, client: AsyncRerankClient
) -> None:
    played.behaviours = [invalid]
    with pytest.raises(InvalidRequest):
        async for _ in client.rerank_batch(requests(1000)):
            pass


async def test_documents_are_imported_in_batches(client: AsyncRerankClient) -> None:
    async def documents() -> AsyncIterator[str]:
        for _ in range(250):
            yield "a"

    answers = [each async for each in client.import_documents(documents())]
    assert [each.batch_id for each in answers] == ["0", "100", "200"]


async def test_pages_follow_each_other(
    played: Played, client: AsyncRerankClient
) -> None:
    documents = client.documents(collection="papers", return_embeddings=True)
    assert (await anext(documents)).id == "a"
    assert len(played.listings) == 1
    assert [each.id async for each in documents] == ["b", "c"]
    assert [each.page_token for each in played.listings] == ["", "2", "3"]
    assert {each.collection for each in played.listings} == {"papers"}
    assert all(each.return_embeddings for each in played.listings)


# Ends


async def test_cancelling_a_task_cancels_its_call(
    played: Played, client: AsyncRerankClient
) -> None:
    played.behaviours = [hang]
    task = asyncio.create_task(client.rerank("q", ["a"], timeout_s=PATIENCE_S))
    assert await asyncio.to_thread(played.reached.wait, PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await over(played)


async def test_cancelling_a_task_cancels_its_stream(
    played: Played, client: AsyncRerankClient
) -> None:
    async def batch() -> AsyncIterator[RerankRequest]:
        for request in requests(1):
            yield request
        await asyncio.Event().wait()

    async def read() -> None:
        async with aclosing(client.rerank_batch(batch())) as answers:
            async for _ in answers:
                pass

    task = asyncio.create_task(read())
    assert await asyncio.to_thread(played.reached.wait, PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await over(played)


def test_it_can_be_made_where_no_event_loop_runs(played: Played, address: str) -> None:
    client = AsyncRerankClient(address)

    async def use() -> None:
        async with client:
            await client.rerank("q", ["a"])

    asyncio.run(use())
    assert len(played.calls) == 1


async def test_closing_what_was_never_used_opens_nothing() -> None:
    async with AsyncRerankClient("localhost:1"):
        pass
