"""The document compressor, in the real LangChain over a real gateway."""

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableLambda

from rerank_client import (
    AsyncRerankClient,
    FailedPrecondition,
    NotFound,
    RerankClient,
)
from rerank_client.langchain import GatewayRerank

QUERY = "what is vitamin b12"


def found() -> list[Document]:
    return [
        Document(page_content="Bread is baked.", metadata={"page": 1}, id="bread"),
        Document(page_content=" ", metadata={"page": 2}),
        Document(
            page_content="What vitamin B12 is.",
            metadata={"page": 3, "relevance_score": 0.9, "fallback_reason": "TIMEOUT"},
            id="b12",
        ),
    ]


def test_documents_come_in_the_new_order_with_their_scores(
    client: RerankClient,
) -> None:
    ranked = GatewayRerank(client=client).compress_documents(found(), QUERY)
    assert [each.metadata["page"] for each in ranked] == [3, 1, 2]
    assert [each.id for each in ranked] == ["b12", "bread", None]
    best, other, blank = (each.metadata for each in ranked)
    assert best["relevance_score"] > other["relevance_score"]
    assert best["search_method"] == "rerank"
    assert best["fallback_triggered"] is False
    assert "fallback_reason" not in best
    assert "relevance_score" not in blank
    assert blank["search_method"] == "input_order"


async def test_coroutines_get_the_same(
    client: RerankClient, async_client: AsyncRerankClient
) -> None:
    compressor = GatewayRerank(client=client, async_client=async_client)
    ranked = await compressor.acompress_documents(found(), QUERY)
    assert ranked == compressor.compress_documents(found(), QUERY)


async def test_without_an_async_client_a_thread_does_it(client: RerankClient) -> None:
    ranked = await GatewayRerank(client=client).acompress_documents(found(), QUERY)
    assert [each.metadata["page"] for each in ranked] == [3, 1, 2]


def test_what_was_found_stays_as_it_is(client: RerankClient) -> None:
    documents = found()
    GatewayRerank(client=client).compress_documents(documents, QUERY)
    assert documents == found()


def test_a_fallback_keeps_the_order_and_shows(client: RerankClient) -> None:
    compressor = GatewayRerank(client=client, route="locked", search_method="vector")
    ranked = compressor.compress_documents(found(), QUERY)
    assert [each.metadata["page"] for each in ranked] == [1, 2, 3]
    for each in ranked:
        assert "relevance_score" not in each.metadata
        assert each.metadata["search_method"] == "vector"
        assert each.metadata["fallback_triggered"] is True
        assert each.metadata["fallback_reason"] == "UNAUTHENTICATED"


def test_a_second_backend_shows_too(client: RerankClient) -> None:
    ranked = GatewayRerank(client=client, route="second").compress_documents(
        found(), QUERY
    )
    assert ranked[0].metadata["fallback_triggered"] is True
    assert "fallback_reason" not in ranked[0].metadata
    assert "relevance_score" in ranked[0].metadata


def test_a_failure_can_be_an_error(client: RerankClient) -> None:
    with pytest.raises(FailedPrecondition) as raised:
        GatewayRerank(
            client=client, route="locked", raise_on_failure=True
        ).compress_documents(found(), QUERY)
    assert raised.value.reason == "RERANK_FAILED"
    assert raised.value.execution


def test_results_are_bounded_by_number_and_score(client: RerankClient) -> None:
    compressor = GatewayRerank(client=client, top_n=1)
    assert len(compressor.compress_documents(found(), QUERY)) == 1
    compressor = GatewayRerank(client=client, min_score=0.5)
    assert [
        each.metadata["page"] for each in compressor.compress_documents(found(), QUERY)
    ] == [3]
    compressor = GatewayRerank(client=client, top_k=1)
    ranked = compressor.compress_documents(found(), QUERY)
    assert [each.metadata["page"] for each in ranked] == [1, 2, 3]
    assert "relevance_score" not in ranked[2].metadata


def test_nothing_found_asks_nobody() -> None:
    with RerankClient("localhost:1") as client:
        assert GatewayRerank(client=client).compress_documents([], QUERY) == []


def test_an_error_of_the_gateway_is_raised(client: RerankClient) -> None:
    with pytest.raises(NotFound):
        GatewayRerank(client=client, route="nowhere").compress_documents(found(), QUERY)


def test_threads_need_a_client() -> None:
    with pytest.raises(ValueError, match="needs a client"):
        GatewayRerank().compress_documents(found(), QUERY)


def test_an_unknown_setting_is_refused(client: RerankClient) -> None:
    with pytest.raises(ValueError, match="top_m"):
        GatewayRerank(client=client, top_m=3)  # type: ignore[call-arg]  # that is the test


async def test_it_is_a_step_of_a_chain(
    client: RerankClient, async_client: AsyncRerankClient
) -> None:
    compressor: BaseDocumentCompressor = GatewayRerank(
        client=client, async_client=async_client
    )
    chain = RunnableLambda(
        lambda query: compressor.compress_documents(found(), query),
        afunc=lambda query: compressor.acompress_documents(found(), query),
    )
    assert chain.invoke(QUERY) == await chain.ainvoke(QUERY)
