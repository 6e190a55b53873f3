"""A gRPC client of text-embeddings-inference: stubs of its own `.proto`, and nothing of ours."""

import sys
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_tools import protoc

from clients.sdks.asking import (
    BLANK_WORDS,
    DOCUMENTS,
    KEY,
    QUERY,
    TOO_MANY,
    Gateway,
    Scores,
)

HERE = Path(__file__).parent
_PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def tei(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The generated modules: messages as `pb2`, stubs as `pb2_grpc`."""
    folder = tmp_path_factory.mktemp("stubs")
    failed = protoc.main(
        [
            "protoc",
            f"-I{HERE}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            str(HERE / "tei.proto"),
        ]
    )
    assert not failed
    sys.path.insert(0, str(folder))
    invalidate_caches()
    try:
        yield SimpleNamespace(
            pb2=import_module("tei_pb2"), pb2_grpc=import_module("tei_pb2_grpc")
        )
    finally:
        sys.path.remove(str(folder))


@pytest.fixture
def channel(gateway: Gateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.address) as channel:
        yield channel


@pytest.fixture
def rerank(tei: Any, channel: grpc.Channel) -> Any:
    """Asks, and gives the answer and the metadata that came before it."""
    stub = tei.pb2_grpc.RerankStub(channel)

    def ask(route: str = "", **request: Any) -> tuple[Any, dict[str, Any]]:
        answer, call = stub.Rerank.with_call(
            tei.pb2.RerankRequest(**{"query": QUERY, "texts": DOCUMENTS, **request}),
            metadata=[
                ("authorization", f"Bearer {KEY}"),
                *([("x-rerank-route", route)] if route else []),
            ],
            timeout=_PATIENCE_S,
        )
        return answer, dict(call.initial_metadata())

    return ask


def _scores(answer: Any) -> Scores:
    return [(each.index, each.score) for each in answer.ranks]


def test_scores_are_those_of_the_gateway(gateway: Gateway, rerank: Any) -> None:
    answer, said = rerank()

    assert _scores(answer) == gateway.scores()
    assert not answer.ranks[0].HasField("text")
    assert said["x-fallback-triggered"] == "false"


def test_texts_come_back_where_asked(rerank: Any) -> None:
    answer, _ = rerank(return_text=True)

    assert answer.ranks[0].text == DOCUMENTS[2]


def test_raw_scores_are_the_models_own(rerank: Any) -> None:
    answer, _ = rerank(route="logits", raw_scores=True)

    place, score = _scores(answer)[0]
    assert place == 2
    assert score == pytest.approx(log(15)), "15/16 to 1/16"


def test_texts_may_come_one_by_one(
    gateway: Gateway, tei: Any, channel: grpc.Channel
) -> None:
    texts = [tei.pb2.RerankStreamRequest(query=QUERY, text=text) for text in DOCUMENTS]

    answer = tei.pb2_grpc.RerankStub(channel).RerankStream(
        iter(texts), timeout=_PATIENCE_S
    )

    assert _scores(answer) == gateway.scores()


def test_it_tells_about_itself(tei: Any, channel: grpc.Channel) -> None:
    info = tei.pb2_grpc.InfoStub(channel).Info(
        tei.pb2.InfoRequest(), timeout=_PATIENCE_S
    )

    assert info.model_id == "words-in-common"
    assert info.model_type == tei.pb2.MODEL_TYPE_RERANKER
    assert info.max_client_batch_size == 1000


def test_another_backend_that_scores_is_named(gateway: Gateway, rerank: Any) -> None:
    answer, said = rerank(route="second")

    assert _scores(answer) == gateway.scores()
    assert said["x-fallback-triggered"] == "true"
    assert said["x-rerank-backend"] == "judge"


def test_no_score_is_an_error_because_the_message_has_no_place_for_none(
    rerank: Any,
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        rerank(route="down")

    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    told = dict(error.trailing_metadata())
    assert told["x-fallback-triggered"] == "true"
    assert told["x-fallback-reason"] == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"query": " "}, BLANK_WORDS),
        ({"texts": TOO_MANY}, "batch size 1001 > maximum allowed batch size 1000"),
    ],
    ids=["blank query", "too many documents"],
)
def test_mistakes_are_its_own_status(
    rerank: Any, request_: dict[str, Any], words: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        rerank(**request_)

    error: Any = raised.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in error.details()
