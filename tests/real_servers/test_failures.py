"""Real servers that are killed, hang, load or want another key, and come back."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rerank.v1 import execution_pb2, rerank_service_pb2
from tests.real_servers.asking import (
    TEXTS,
    Asked,
    asking,
    assert_fell_back,
    assert_reranked,
)
from tests.real_servers.kinds import settings_of
from tests.real_servers.processes import RECIPES, SOCKETS, Process, Starter, until

pytestmark = pytest.mark.real_time

# Long for five documents, also on a machine with other work; short for a test.
_HANGS_AFTER_S = 5.0

_ANSWER_WHILE_LOADING = [each for each in RECIPES if each.answers_while_loading]


@pytest.fixture
async def process(starter: Starter) -> AsyncIterator[Process]:
    """Give one that serves, and asks for no key."""
    process = await starter.serving()
    yield process
    # Whatever a test did to it, the next one finds it going on.
    process.go_on()


@pytest.fixture
async def gateway(process: Process) -> AsyncIterator[Asked]:
    async with _asking(process) as gateway:
        assert_reranked(await gateway.rerank())
        yield gateway


def _asking(process: Process, key: str = "", **settings: Any) -> Any:
    kind = process.recipe.kind
    return asking(kind, settings_of(kind, process.server.url, **settings), key)


async def _until_reranked(
    gateway: Asked, *, until_then: str
) -> rerank_service_pb2.RerankResponse:
    """Ask until the service is back: nobody restarts the gateway."""
    last = rerank_service_pb2.RerankResponse()

    async def reranked() -> bool:
        nonlocal last
        last = await gateway.rerank()
        if last.fallback_triggered:
            # After a while it is not even asked.
            assert_fell_back(last, until_then, "CIRCUIT_OPEN")
        return not last.fallback_triggered

    await until(reranked, "reranked again")
    assert_reranked(last)
    return last


# killed


async def test_a_server_that_was_killed_is_unavailable_until_it_is_back(
    starter: Starter, process: Process, gateway: Asked
) -> None:
    before = await gateway.rerank()

    process.kill()

    # The first call finds its connection closed, the second finds nobody.
    for _ in range(2):
        assert_fell_back(await gateway.rerank(), "UNAVAILABLE")
    assert await gateway.state() == "UNREACHABLE"

    starter.start(port=process.port)

    after = await _until_reranked(gateway, until_then="UNAVAILABLE")
    assert [r.index for r in after.results] == [r.index for r in before.results]
    assert await gateway.state() == "READY"


@pytest.mark.skipif(not SOCKETS.exists(), reason="only Linux tells of its sockets")
async def test_a_server_that_is_killed_during_a_call_is_unavailable_at_once(
    starter: Starter, process: Process, gateway: Asked
) -> None:
    process.hang()
    call = asyncio.create_task(gateway.rerank())
    await process.until_asked()
    process.kill()

    # Its time limit is minutes away.
    assert_fell_back(await call, "UNAVAILABLE")

    await starter.ready(port=process.port)
    assert_reranked(await gateway.rerank())


# restarted


async def test_a_server_that_is_restarted_between_two_calls_is_not_missed(
    starter: Starter, process: Process, gateway: Asked
) -> None:
    process.end()
    await starter.ready(port=process.port)

    assert_reranked(await gateway.rerank())


# loading


@pytest.mark.parametrize("starter", _ANSWER_WHILE_LOADING, indirect=True)
async def test_a_server_that_loads_its_model_is_told_from_one_that_is_down(
    starter: Starter, process: Process
) -> None:
    async with _asking(process) as gateway:
        states: list[str] = []
        # It may have loaded between two looks, and then is started again.
        for _ in range(10):
            process.kill()
            process = starter.start(port=process.port)
            states = await _states_until_ready(gateway)
            if "LOADING" in states:
                break

    assert "LOADING" in states
    # First nobody listens, then it loads, then it serves.
    assert states == sorted(states, key=["UNREACHABLE", "LOADING", "READY"].index)


async def _states_until_ready(gateway: Asked) -> list[str]:
    states: list[str] = []

    async def ready() -> bool:
        states.append(await gateway.state())
        response = await gateway.rerank()
        if response.fallback_triggered:
            assert_fell_back(response, "UNAVAILABLE", "CIRCUIT_OPEN")
        return states[-1] == "READY"

    await until(ready, "ready")
    return states


# hung


async def test_a_server_that_hangs_is_timed_out_until_it_goes_on(
    process: Process,
) -> None:
    async with _asking(process, timeout_s=_HANGS_AFTER_S) as gateway:
        assert_reranked(await gateway.rerank())

        process.hang()

        assert_fell_back(await gateway.rerank(), "TIMEOUT")
        assert (await gateway.check()).failure_reason == (
            execution_pb2.FALLBACK_REASON_TIMEOUT
        )

        process.go_on()

        await _until_reranked(gateway, until_then="TIMEOUT")
        assert await gateway.state() == "READY"


async def test_a_caller_in_a_hurry_is_told_that_its_own_time_was_over(
    process: Process, gateway: Asked
) -> None:
    process.hang()

    response = await gateway.rerank(timeout={"nanos": 300_000_000})

    assert_fell_back(response, "DEADLINE")
    took = response.execution.duration.ToTimedelta().total_seconds()
    assert 0.3 <= took < _HANGS_AFTER_S

    process.go_on()

    await _until_reranked(gateway, until_then="TIMEOUT")


async def test_many_calls_to_a_server_that_hangs_all_come_back(
    process: Process,
) -> None:
    async with _asking(process, timeout_s=_HANGS_AFTER_S, max_in_flight=8) as gateway:
        process.hang()

        responses = await asyncio.gather(*(gateway.rerank() for _ in range(8)))

        for response in responses:
            assert_fell_back(response, "TIMEOUT")

        process.go_on()

        await _until_reranked(gateway, until_then="TIMEOUT")


# keys


async def test_a_wrong_key_is_named_until_the_server_takes_it(
    starter: Starter,
) -> None:
    process = await starter.ready(key="the-key-of-the-server")
    async with (
        _asking(process, "another-key") as wrong,
        _asking(process) as without,
        _asking(process, "the-key-of-the-server") as right,
    ):
        for gateway in (wrong, without):
            response = await gateway.rerank()
            assert_fell_back(response, "UNAUTHENTICATED")
            assert "another-key" not in str(response)
            assert await gateway.state() == "MISCONFIGURED"
        assert_reranked(await right.rerank())
        assert await right.state() == "READY"

        process.end()
        await starter.ready(port=process.port, key="another-key")

        assert_reranked(await wrong.rerank())
        assert await wrong.state() == "READY"
        assert_fell_back(await right.rerank(), "UNAUTHENTICATED")


# connections


async def test_hundreds_of_calls_in_a_row_survive_every_closed_connection(
    gateway: Asked,
) -> None:
    # llama.cpp closes a connection after a hundred requests.
    for _ in range(250):
        assert_reranked(await gateway.rerank(TEXTS[:2]))


async def test_a_connection_that_the_server_closed_for_idleness_is_not_missed(
    process: Process, gateway: Asked
) -> None:
    with socket.create_connection(("127.0.0.1", process.port)) as idle:
        assert_reranked(await gateway.rerank())
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Asked last of the two, it is closed last.
        await asyncio.to_thread(_read_until_closed, idle)

    assert_reranked(await gateway.rerank())


def _read_until_closed(connection: socket.socket) -> None:
    connection.settimeout(60)
    while connection.recv(4096):
        pass


async def test_calls_at_once_are_all_answered(gateway: Asked) -> None:
    responses = await asyncio.gather(
        *(gateway.rerank(TEXTS[: 1 + place % 5]) for place in range(40))
    )

    for place, response in enumerate(responses):
        assert_reranked(response)
        assert response.execution.scored_count == 1 + place % 5


async def test_a_call_that_its_caller_gave_up_disturbs_nobody(
    gateway: Asked,
) -> None:
    abandoned = [asyncio.create_task(gateway.rerank(TEXTS * 20)) for _ in range(3)]
    assert_reranked(await gateway.rerank(TEXTS[:1]))
    for call in abandoned:
        call.cancel()
    await asyncio.gather(*abandoned, return_exceptions=True)

    assert_reranked(await gateway.rerank())
