"""LlamaIndex's rerankers for Cohere, Jina, and text-embeddings-inference (TEI)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import cohere
import httpx
import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

from clients.sdks.asking import (
    AS_RECEIVED,
    BLANK_WORDS,
    DOCUMENTS,
    KEY,
    MODEL,
    QUERY,
    TOO_MANY,
    TOO_MANY_WORDS,
    Gateway,
    Scores,
)

Make = Callable[..., Any]


def _cohere(gateway: Gateway, path: str = "", **more: Any) -> CohereRerank:
    settings = {"model": MODEL, "top_n": 4, **more}
    return CohereRerank(api_key=KEY, base_url=f"{gateway.http}{path}", **settings)


def _jina(gateway: Gateway, path: str = "/v1", **more: Any) -> JinaRerank:
    settings = {"model": MODEL, "top_n": 4, **more}
    return JinaRerank(api_key=KEY, base_url=f"{gateway.http}{path}", **settings)


def _tei(gateway: Gateway, path: str = "", **more: Any) -> TextEmbeddingInference:
    settings = {"top_n": 4, **more}
    return TextEmbeddingInference(
        auth_token=f"Bearer {KEY}", base_url=f"{gateway.http}{path}", **settings
    )


EVERY_BASE = [
    pytest.param(_cohere, "", id="Cohere"),
    pytest.param(_cohere, "/cohere", id="Cohere at its own path"),
    pytest.param(_jina, "/v1", id="Jina"),
    pytest.param(_jina, "/jina/v1", id="Jina at its own path"),
    pytest.param(_tei, "", id="TEI"),
    pytest.param(_tei, "/tei", id="TEI at its own path"),
]
WITH_A_MODEL = [pytest.param(_cohere, id="Cohere"), pytest.param(_jina, id="Jina")]


def _nodes(texts: list[str] = DOCUMENTS) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(id_=str(place), text=text), score=0.25)
        for place, text in enumerate(texts)
    ]


def _scores(nodes: list[NodeWithScore]) -> Scores:
    return [(int(each.node.node_id), each.score) for each in nodes]


@pytest.mark.parametrize(("make", "path"), EVERY_BASE)
def test_nodes_come_in_the_gateways_order(
    gateway: Gateway, make: Make, path: str
) -> None:
    found = make(gateway, path).postprocess_nodes(_nodes(), query_str=QUERY)

    assert _scores(found) == gateway.scores()
    assert found[0].node.text == DOCUMENTS[2]


@pytest.mark.parametrize(("make", "path"), EVERY_BASE)
async def test_so_they_do_asynchronously(
    gateway: Gateway, make: Make, path: str
) -> None:
    found = await make(gateway, path).apostprocess_nodes(_nodes(), query_str=QUERY)

    assert _scores(found) == gateway.scores()


@pytest.mark.parametrize(("make", "path"), EVERY_BASE)
def test_top_n_bounds_the_nodes(gateway: Gateway, make: Make, path: str) -> None:
    found = make(gateway, path, top_n=2).postprocess_nodes(_nodes(), query_str=QUERY)

    assert _scores(found) == gateway.scores(top_n=2)


@pytest.mark.parametrize("make", WITH_A_MODEL)
def test_a_model_that_is_the_name_of_a_route_chooses_it(
    gateway: Gateway, make: Make
) -> None:
    found = make(gateway, model="strict").postprocess_nodes(_nodes(), query_str=QUERY)

    assert _scores(found) == gateway.scores(route="strict")
    assert len(found) == 2, "the route has a threshold"


@pytest.mark.parametrize("make", WITH_A_MODEL)
@pytest.mark.parametrize("route", ["down", "slow"])
def test_a_fallback_keeps_the_order_without_scores(
    gateway: Gateway, make: Make, route: str
) -> None:
    found = make(gateway, model=route).postprocess_nodes(_nodes(), query_str=QUERY)

    assert _scores(found) == AS_RECEIVED


MISTAKES = pytest.mark.parametrize(
    ("query", "texts", "words"),
    [
        (" ", DOCUMENTS, f"query: {BLANK_WORDS}"),
        (QUERY, TOO_MANY, TOO_MANY_WORDS),
    ],
    ids=["blank query", "too many documents"],
)


@MISTAKES
def test_cohere_says_mistakes_in_coheres_errors(
    gateway: Gateway, query: str, texts: list[str], words: str
) -> None:
    with pytest.raises(cohere.BadRequestError) as raised:
        _cohere(gateway).postprocess_nodes(_nodes(texts), query_str=query)

    assert words in raised.value.body["message"]


@MISTAKES
@pytest.mark.parametrize("path", ["/v1", "/jina/v1"])
def test_jina_says_mistakes_in_words(
    gateway: Gateway, path: str, query: str, texts: list[str], words: str
) -> None:
    with pytest.raises(RuntimeError, match=words):
        _jina(gateway, path).postprocess_nodes(_nodes(texts), query_str=query)


# TEI's reader takes each score for a number, and does not look at the status


@pytest.fixture
def falling_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the SDK's HTTP client choose a route that falls back, as the SDK cannot."""
    chosen = partial(httpx.Client, headers={"x-rerank-route": "down"})
    monkeypatch.setattr(httpx, "Client", chosen)


@pytest.mark.usefixtures("falling_back")
@pytest.mark.parametrize("path", ["", "/tei"])
def test_teis_reader_refuses_a_fallback_and_leaves_the_nodes_as_they_were(
    gateway: Gateway, path: str
) -> None:
    nodes = _nodes()

    with pytest.raises(TypeError, match="not 'NoneType'"):
        _tei(gateway, path).postprocess_nodes(nodes, query_str=QUERY)

    assert _scores(nodes) == [(place, 0.25) for place in range(4)]


@pytest.mark.parametrize("path", ["", "/tei"])
def test_teis_reader_refuses_blank_texts(gateway: Gateway, path: str) -> None:
    with pytest.raises(TypeError, match="not 'NoneType'"):
        _tei(gateway, path).postprocess_nodes(_nodes([" ", QUERY]), query_str=QUERY)


@pytest.mark.parametrize("make", WITH_A_MODEL)
def test_other_readers_take_blank_texts_without_a_score(
    gateway: Gateway, make: Make
) -> None:
    found = make(gateway).postprocess_nodes(_nodes([" ", QUERY]), query_str=QUERY)

    assert _scores(found) == [(1, 15 / 16), (0, None)]


@pytest.mark.parametrize("path", ["", "/tei"])
@pytest.mark.parametrize("texts", [DOCUMENTS, TOO_MANY])
def test_teis_reader_refuses_errors_and_drops_their_words(
    gateway: Gateway, path: str, texts: list[str]
) -> None:
    query = " " if texts is DOCUMENTS else QUERY

    with pytest.raises(AssertionError):
        _tei(gateway, path).postprocess_nodes(_nodes(texts), query_str=query)
