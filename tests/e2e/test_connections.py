"""How connections to a backend are used, and what is sent again over them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rerank.v1 import execution_pb2, rerank_service_pb2
from tests.e2e.running import Running, place_of, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Vendor, chunk, hang, head, reply

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["llamacpp"]
_COUNT = 4
_BEST_FIRST = [3, 2, 1, 0]


@dataclass(frozen=True, slots=True)
class Scene:
    gateway: Running
    vendor: Vendor

    async def ask(self) -> rerank_service_pb2.RerankResponse:
        return await self.gateway.stub.Rerank(rerank_request(_COUNT), timeout=30)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Vendor(_answer) as vendor:
        settings = {
            "backends": {
                "llamacpp": {
                    "dialect": "llamacpp",
                    "url": vendor.url,
                    "max_documents": 2,
                    **_SHAPE.settings,
                },
                "whole": {
                    "dialect": "llamacpp",
                    "url": vendor.url,
                    **_SHAPE.settings,
                },
            },
            "routes": {
                "default": {"backends": ["whole"]},
                "split": {"backends": ["llamacpp"]},
            },
        }
        async with running(settings) as gateway:
            yield Scene(gateway, vendor)


def _body(exchange: Exchange) -> bytes:
    return _SHAPE.body(exchange.received, lambda text: place_of(text) - 1.5)


async def _answer(exchange: Exchange) -> None:
    await reply(200, _body(exchange))(exchange)


def _assert_reranked(response: rerank_service_pb2.RerankResponse) -> None:
    assert [result.index for result in response.results] == _BEST_FIRST
    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert not response.fallback_triggered
    assert not [a for a in response.execution.attempts if a.failure_reason]


async def test_one_connection_serves_one_call_after_the_other(scene: Scene) -> None:
    for _ in range(5):
        _assert_reranked(await scene.ask())

    assert scene.vendor.connection_count == 1


async def test_a_connection_that_the_backend_closes_is_replaced(scene: Scene) -> None:
    scene.vendor.closes_after = 2

    for _ in range(10):
        _assert_reranked(await scene.ask())

    assert len(scene.vendor.received) == 10
    assert scene.vendor.connection_count == 5


async def test_a_call_on_a_stale_connection_is_sent_again(scene: Scene) -> None:
    async def answer_once(exchange: Exchange) -> None:
        if exchange.place > 1:
            exchange.reset()
        else:
            await _answer(exchange)

    scene.vendor.play = answer_once

    for _ in range(3):
        response = await scene.ask()
        _assert_reranked(response)
        assert len(response.execution.attempts) == 1

    # The first call once, the others twice.
    assert len(scene.vendor.received) == 5


async def test_a_call_on_a_fresh_connection_is_not_sent_again(scene: Scene) -> None:
    async def tear_down(exchange: Exchange) -> None:
        exchange.reset()

    scene.vendor.play = tear_down

    response = await scene.ask()

    assert response.execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    assert len(scene.vendor.received) == 1


async def test_an_answer_in_chunks_is_read_to_its_end(scene: Scene) -> None:
    async def in_chunks(exchange: Exchange) -> None:
        body = _body(exchange)
        await exchange.send(head(200, length=None))
        for start in range(0, len(body), 7):
            await exchange.send(chunk(body[start : start + 7]))
        await exchange.send(chunk(b""))

    scene.vendor.play = in_chunks

    _assert_reranked(await scene.ask())


async def test_an_answer_that_drips_in_time_is_read_to_its_end(scene: Scene) -> None:
    async def drip(exchange: Exchange) -> None:
        for byte in head(200, length=len(_body(exchange))) + _body(exchange):
            await exchange.send(bytes([byte]))
            await asyncio.sleep(0)

    scene.vendor.play = drip

    _assert_reranked(await scene.ask())


async def test_a_whole_number_is_a_score(scene: Scene) -> None:
    async def whole_numbers(exchange: Exchange) -> None:
        body = _SHAPE.body(exchange.received, place_of)
        assert b'"relevance_score": 3}' in body
        await reply(200, body)(exchange)

    scene.vendor.play = whole_numbers

    _assert_reranked(await scene.ask())


async def test_large_answers_that_echo_the_documents_are_read(scene: Scene) -> None:
    async def echo(exchange: Exchange) -> None:
        # What some vendors do: every document comes back, escaped.
        results = _SHAPE.results(
            [place_of(text) - 1.5 for text in _SHAPE.texts(exchange.received)]
        )
        for result in results:
            result["document"] = {"text": "é" * 40_000}
        await reply(200, _SHAPE.answer(results))(exchange)

    scene.vendor.play = echo

    for response in await asyncio.gather(*(scene.ask() for _ in range(5))):
        _assert_reranked(response)


async def test_every_chunk_of_a_request_is_asked_at_once(scene: Scene) -> None:
    everything_came = asyncio.Event()

    async def wait_for_the_other(exchange: Exchange) -> None:
        if len(scene.vendor.received) == 2:
            everything_came.set()
        await everything_came.wait()
        await _answer(exchange)

    scene.vendor.play = wait_for_the_other

    response = await scene.gateway.stub.Rerank(
        rerank_request(_COUNT, route="split"), timeout=30
    )

    _assert_reranked(response)
    assert [a.document_count for a in response.execution.attempts] == [2, 2]


async def test_one_failed_chunk_abandons_the_others(scene: Scene) -> None:
    async def answer_one_of_two(exchange: Exchange) -> None:
        if place_of(_SHAPE.texts(exchange.received)[0]) == 0:
            await hang(exchange)
        await scene.vendor.until(lambda: scene.vendor.in_progress == 2)
        await reply(500, b"")(exchange)

    scene.vendor.play = answer_one_of_two

    response = await scene.gateway.stub.Rerank(
        rerank_request(_COUNT, route="split"), timeout=30
    )

    assert [result.index for result in response.results] == [0, 1, 2, 3]
    assert response.execution.fallback_reason == (
        execution_pb2.FALLBACK_REASON_UNAVAILABLE
    )
    await scene.vendor.until(lambda: scene.vendor.in_progress == 0)
    assert scene.vendor.abandoned == 1
