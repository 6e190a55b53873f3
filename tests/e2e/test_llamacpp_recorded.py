"""What a real llama.cpp server answered, replayed to the byte."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from gateway.ranking.normalize import sigmoid
from rerank.v1 import (
    document_pb2,
    execution_pb2,
    options_pb2,
    rerank_service_pb2,
)
from tests.e2e.running import Running, running
from tests.e2e.vendor import Exchange, Play, Vendor, reply
from tests.support.recorded import Recorded, llamacpp

pytestmark = pytest.mark.real_time

_NORMAL = llamacpp("normal_v1_rerank")
_TOO_LONG = llamacpp("doc_longer_than_context")
_STILL_TOO_LONG = llamacpp("doc_longer_than_context_of_256")


def _replay(recorded: Recorded) -> Play:
    # The names of model files in it were shortened after its length was written.
    headers = {**recorded.headers, "Content-Length": str(len(recorded.body))}

    async def play(exchange: Exchange) -> None:
        await reply(recorded.status, recorded.body, headers=headers)(exchange)
        if recorded.headers.get("Connection") == "close":
            exchange.close()

    return play


@asynccontextmanager
async def _scene(play: Play) -> AsyncIterator[tuple[Running, Vendor]]:
    async with Vendor(play) as vendor:
        settings: dict[str, Any] = {
            "backends": {
                "llamacpp": {
                    "dialect": "llamacpp",
                    "url": vendor.url,
                    "scale": "logit",
                }
            },
            "routes": {"default": {"backends": ["llamacpp"]}},
        }
        async with running(settings) as gateway:
            yield gateway, vendor


def _request(recorded: Recorded, **more: Any) -> rerank_service_pb2.RerankRequest:
    return rerank_service_pb2.RerankRequest(
        query=recorded.request["query"],
        documents=[document_pb2.Document(text=text) for text in recorded.texts],
        **more,
    )


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (
            "normal_v1_rerank",
            {
                0: 2.644174575805664,
                4: 1.3310010433197021,
                3: 0.7878475189208984,
                2: 0.7557336091995239,
                1: -0.45495957136154175,
            },
        ),
        ("duplicate_documents", None),
        ("unicode", None),
    ],
)
async def test_its_scores_become_an_order(
    name: str, raw: dict[int, float] | None
) -> None:
    recorded = llamacpp(name)
    async with _scene(_replay(recorded)) as (gateway, vendor):
        response = await gateway.stub.Rerank(_request(recorded), timeout=20)

    assert response.search_method == "rerank"
    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert response.execution.model == "minilm-ce-f16.gguf"
    assert response.execution.usage.tokens > 0
    assert [result.rank for result in response.results] == list(
        range(1, len(recorded.texts) + 1)
    )
    scores = [result.raw_score for result in response.results]
    assert scores == sorted(scores, reverse=True)
    for result in response.results:
        assert result.rerank_score == sigmoid(result.raw_score)
    if raw:
        assert {result.index: result.raw_score for result in response.results} == raw
        assert [result.index for result in response.results] == list(raw)
        assert response.execution.usage.tokens == 181
    (received,) = vendor.received
    assert received.path == recorded.path
    assert received.json["query"] == recorded.request["query"]
    assert received.json["documents"] == recorded.texts
    assert "texts" not in received.json


@pytest.mark.parametrize(
    ("name", "reason", "code"),
    [
        ("loading_rerank", "UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
        ("auth_wrong", "UNAUTHENTICATED", grpc.StatusCode.FAILED_PRECONDITION),
        ("unknown_path_post", "REJECTED", grpc.StatusCode.FAILED_PRECONDITION),
        # It will not rerank a minute later either.
        (
            "server_without_reranking_flag",
            "UNAVAILABLE",
            grpc.StatusCode.FAILED_PRECONDITION,
        ),
    ],
)
async def test_its_refusals_are_named(
    name: str, reason: str, code: grpc.StatusCode
) -> None:
    async with _scene(_replay(llamacpp(name))) as (gateway, vendor):
        response = await gateway.stub.Rerank(_request(_NORMAL), timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await gateway.stub.Rerank(
                _request(_NORMAL, failure_policy=options_pb2.FAILURE_POLICY_FAIL),
                timeout=20,
            )

    assert [result.index for result in response.results] == [0, 1, 2, 3, 4]
    assert response.search_method == "input_order"
    assert response.execution.fallback_reason == execution_pb2.FallbackReason.Value(
        f"FALLBACK_REASON_{reason}"
    )
    assert failed.value.code() == code
    # While it loads it is left alone.
    assert len(vendor.received) == (1 if name == "loading_rerank" else 2)


def _with_a_long_one() -> rerank_service_pb2.RerankRequest:
    request = _request(_NORMAL)
    request.documents[2].text = _TOO_LONG.texts[0]
    return request


async def test_a_document_that_is_too_long_is_shortened_once_and_named() -> None:
    async def play(exchange: Exchange) -> None:
        whole = _TOO_LONG.texts[0] in exchange.received.json["documents"]
        await _replay(_TOO_LONG if whole else _NORMAL)(exchange)

    request = _with_a_long_one()
    async with _scene(play) as (gateway, vendor):
        response = await gateway.stub.Rerank(request, timeout=20)

    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert execution.truncated_indexes == [2]
    assert not response.fallback_triggered
    assert [each.failure_reason for each in execution.attempts] == [
        execution_pb2.FALLBACK_REASON_TOO_LARGE,
        execution_pb2.FALLBACK_REASON_UNSPECIFIED,
    ]
    assert [result.index for result in response.results] == [0, 4, 3, 2, 1]
    first, second = (received.json["documents"] for received in vendor.received)
    assert first == [document.text for document in request.documents]
    assert second[:2] + second[3:] == first[:2] + first[3:]
    assert first[2].startswith(second[2])
    # 738 tokens had to become less than 512.
    assert len(first[2]) / 4 < len(second[2]) < len(first[2]) * 512 / 738


async def test_a_context_that_is_smaller_than_the_batch_is_learned_second() -> None:
    refusals = [_TOO_LONG, _STILL_TOO_LONG]

    async def play(exchange: Exchange) -> None:
        await _replay(refusals.pop(0) if refusals else _NORMAL)(exchange)

    async with _scene(play) as (gateway, vendor):
        response = await gateway.stub.Rerank(_with_a_long_one(), timeout=20)

    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert execution.truncated_indexes == [2]
    assert [each.failure_reason for each in execution.attempts] == [
        execution_pb2.FALLBACK_REASON_TOO_LARGE,
        execution_pb2.FALLBACK_REASON_TOO_LARGE,
        execution_pb2.FALLBACK_REASON_UNSPECIFIED,
    ]
    whole, *_, last = (each.json["documents"][2] for each in vendor.received)
    assert whole.startswith(last)
    # 738 tokens had to become less than 256.
    assert len(whole) / 12 < len(last) < len(whole) * 256 / 738


async def test_a_document_that_stays_too_long_keeps_the_callers_order() -> None:
    async with _scene(_replay(_TOO_LONG)) as (gateway, vendor):
        response = await gateway.stub.Rerank(_with_a_long_one(), timeout=20)

    execution = response.execution
    assert [result.index for result in response.results] == [0, 1, 2, 3, 4]
    assert execution.fallback_reason == execution_pb2.FALLBACK_REASON_TOO_LARGE
    assert not execution.truncated_indexes
    assert len(execution.attempts) == len(vendor.received) == 4
