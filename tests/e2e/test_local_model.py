"""A cross-encoder in the gateway's own process, as callers see it."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    execution_pb2,
    rerank_service_pb2,
)
from tests.e2e.running import Running, running
from tests.e2e.subprocesses import serving
from tests.support.cross_encoders import TEST_MODEL
from tests.support.recorded import llamacpp

pytestmark = pytest.mark.real_time

RECORDED = llamacpp("normal_v1_rerank")
MODEL: dict[str, Any] = {"dialect": "local", "model": str(TEST_MODEL)}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Running]:
    settings = {
        "backends": {
            "mine": MODEL,
            "wrong": MODEL | {"scale": "probability"},
            "gone": {"dialect": "local", "model": "./there-is-none"},
        },
        "routes": {
            "default": {"backends": ["mine"]},
            "wrong": {"backends": ["wrong"]},
            "gone": {"backends": ["gone"]},
            "then": {"backends": ["gone", "mine"]},
        },
    }
    async with running(settings) as started:
        yield started


def request(**more: Any) -> rerank_service_pb2.RerankRequest:
    return rerank_service_pb2.RerankRequest(
        query=RECORDED.request["query"],
        documents=[
            document_pb2.Document(id=str(place), text=text)
            for place, text in enumerate(RECORDED.texts)
        ],
        **more,
    )


async def test_documents_are_ordered_by_the_model(gateway: Running) -> None:
    answer = await gateway.stub.Rerank(request())

    ids = [each.id for each in answer.results]
    assert (ids[0], ids[1], ids[-1]) == ("0", "4", "1")
    assert answer.search_method.endswith("rerank")
    assert not answer.fallback_triggered
    assert answer.execution.backend == "mine"
    assert answer.execution.model == "test-cross-encoder"
    best = answer.results[0]
    assert best.raw_score == pytest.approx(2.6, abs=0.2)
    assert best.score == pytest.approx(0.93, abs=0.02)


async def test_the_company_changes_no_score(gateway: Running) -> None:
    whole = {each.id: each for each in (await gateway.stub.Rerank(request())).results}
    for place, text in enumerate(RECORDED.texts):
        alone = request()
        del alone.documents[:]
        alone.documents.add(id="x", text=text)
        (result,) = (await gateway.stub.Rerank(alone)).results
        assert result.raw_score == whole[str(place)].raw_score


async def test_logits_take_a_threshold(gateway: Running) -> None:
    """0.5 is a logit of 0."""
    answer = await gateway.stub.Rerank(request(min_score=0.5))

    assert answer.execution.min_score_applied
    assert sorted(each.id for each in answer.results) == ["0", "2", "3", "4"]


async def test_a_hundred_documents_are_judged_unless_it_is_said(
    gateway: Running,
) -> None:
    many = request()
    many.documents.extend(
        document_pb2.Document(id=f"more-{place}", text="soup") for place in range(97)
    )

    answer = await gateway.stub.Rerank(many)
    fewer = request(top_k=3)

    assert list(answer.execution.unscored_indexes) == [100, 101]
    assert (await gateway.stub.Rerank(fewer)).execution.unscored_indexes == [3, 4]


async def test_a_document_that_is_too_long_is_named(gateway: Running) -> None:
    long = request()
    long.documents[3].text = "soup " * 600

    answer = await gateway.stub.Rerank(long)

    assert answer.execution.truncated_indexes == [3]


async def test_logits_that_are_called_probabilities_are_found_out(
    gateway: Running,
) -> None:
    answer = await gateway.stub.Rerank(request(route="wrong"))

    assert answer.fallback_triggered
    assert answer.execution.fallback_reason == execution_pb2.FALLBACK_REASON_MALFORMED


async def test_a_model_that_is_not_there_leaves_the_rest_of_the_route(
    gateway: Running,
) -> None:
    alone = await gateway.stub.Rerank(request(route="gone"))
    then = await gateway.stub.Rerank(request(route="then"))

    assert alone.fallback_triggered
    assert (
        alone.execution.fallback_reason == execution_pb2.FALLBACK_REASON_MISCONFIGURED
    )
    assert then.execution.backend == "mine"


async def test_operators_see_what_it_is(gateway: Running) -> None:
    stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)

    listed = await stub.ListBackends(backend_service_pb2.ListBackendsRequest())
    checked = await stub.CheckBackend(
        backend_service_pb2.CheckBackendRequest(name="mine")
    )

    backends = {each.name: each for each in listed.backends}
    mine = backends["mine"]
    assert mine.model == "test-cross-encoder"
    assert mine.scale == backend_pb2.SCORE_SCALE_LOGIT
    assert (mine.listwise, mine.default_top_k) == (False, 100)
    assert (mine.limits.max_documents, mine.limits.max_tokens) == (0, 512)
    assert backends["gone"].state == backend_pb2.BACKEND_STATE_MISCONFIGURED
    assert checked.available


def nowhere() -> str:
    """Give an address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_without_the_hub_the_gateway_starts_and_says_what_to_do(
    tmp_path: Path,
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        f"""
        [backends.mine]
        dialect = "local"
        model = "someone/reranker"
        revision = "{COMMIT}"
        [routes.default]
        backends = ["mine"]
        """,
        "utf-8",
    )
    environ = {"HF_ENDPOINT": nowhere(), "HF_HOME": str(tmp_path)}

    async with (
        asyncio.timeout(30),
        serving("--config", str(config), environ=environ) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        checked = await stub.CheckBackend(
            backend_service_pb2.CheckBackendRequest(name="mine")
        )
        ended = await served.stop(signal.SIGTERM)

    assert not checked.available
    assert "someone/reranker@01234567 cannot be downloaded" in checked.message
    assert "or configure a directory as the model" in checked.message
    assert ended.code == 0
