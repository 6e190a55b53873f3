"""LangChain's `langchain_cohere.CohereRerank`."""

from typing import Any

import cohere
import httpx
import pytest
from langchain_cohere import CohereRerank
from langchain_core.documents import Document
from pydantic import SecretStr

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


def _documents(texts: list[str] = DOCUMENTS) -> list[Document]:
    return [
        Document(text, metadata={"place": place}) for place, text in enumerate(texts)
    ]


def _reranker(gateway: Gateway, **more: Any) -> CohereRerank:
    settings = {"model": MODEL, "top_n": 4, **more}
    return CohereRerank(
        base_url=gateway.http, cohere_api_key=SecretStr(KEY), **settings
    )


def _scores(documents: Any) -> Scores:
    return [
        (each.metadata["place"], each.metadata["relevance_score"]) for each in documents
    ]


def test_documents_come_in_the_gateways_order(gateway: Gateway) -> None:
    found = _reranker(gateway).compress_documents(_documents(), QUERY)

    assert _scores(found) == gateway.scores()
    assert [each.page_content for each in found] == [
        DOCUMENTS[place] for place, _ in gateway.scores()
    ]


async def test_so_they_do_asynchronously(gateway: Gateway) -> None:
    found = await _reranker(gateway).acompress_documents(_documents(), QUERY)

    assert _scores(found) == gateway.scores()


def test_places_and_scores_come_alone(gateway: Gateway) -> None:
    found = _reranker(gateway).rerank(DOCUMENTS, QUERY, top_n=3)

    assert [(each["index"], each["relevance_score"]) for each in found] == (
        gateway.scores(top_n=3)
    )


def test_objects_are_reranked_by_the_fields_that_are_named(gateway: Gateway) -> None:
    objects = [{"name": text, "hidden": QUERY} for text in DOCUMENTS]

    found = _reranker(gateway).rerank(objects, QUERY, rank_fields=["name"])

    # It writes them as YAML, of which `name` is one more word.
    assert [(each["index"], each["relevance_score"]) for each in found] == (
        gateway.scores(documents=[f"name: {text}" for text in DOCUMENTS])
    )


def test_top_n_bounds_the_documents(gateway: Gateway) -> None:
    found = _reranker(gateway, top_n=2).compress_documents(_documents(), QUERY)

    assert _scores(found) == gateway.scores(top_n=2)


def test_a_model_that_is_the_name_of_a_route_chooses_it(gateway: Gateway) -> None:
    found = _reranker(gateway, model="strict").compress_documents(_documents(), QUERY)

    assert _scores(found) == gateway.scores(route="strict")
    assert len(found) == 2, "the route has a threshold"


@pytest.mark.parametrize("route", ["down", "slow"])
def test_a_fallback_keeps_the_order_without_scores(
    gateway: Gateway, route: str
) -> None:
    found = _reranker(gateway, model=route).compress_documents(_documents(), QUERY)

    assert _scores(found) == AS_RECEIVED


def test_a_client_of_the_users_own_sees_why(gateway: Gateway) -> None:
    seen: list[httpx.Response] = []
    hooked = httpx.Client(event_hooks={"response": [seen.append]})
    with cohere.ClientV2(
        api_key=KEY, base_url=gateway.http, httpx_client=hooked
    ) as client:
        reranker = CohereRerank(client=client, model="down", top_n=4)
        found = reranker.compress_documents(_documents(), QUERY)

    assert _scores(found) == AS_RECEIVED
    (response,) = seen
    assert response.headers["x-fallback-triggered"] == "true"
    assert response.headers["x-fallback-reason"] == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("query", "texts", "words"),
    [
        (" ", DOCUMENTS, f"query: {BLANK_WORDS}"),
        (QUERY, TOO_MANY, f"documents: {TOO_MANY_WORDS}"),
    ],
    ids=["blank query", "too many documents"],
)
def test_mistakes_are_coheres_errors(
    gateway: Gateway, query: str, texts: list[str], words: str
) -> None:
    with pytest.raises(cohere.BadRequestError) as raised:
        _reranker(gateway).compress_documents(_documents(texts), query)

    assert raised.value.body["message"] == words
