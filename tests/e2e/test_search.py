"""Two-stage search as callers see it: real abstracts, the built-in models, real gRPC."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from gateway.evaluation.reading import json_lines
from gateway.ranking.method import SEARCH_METHODS
from rerank.v1 import (
    collection_pb2,
    document_pb2,
    execution_pb2,
    filter_pb2,
    search_service_pb2,
)
from tests.e2e.running import Running, running
from tests.e2e.subprocesses import ROOT
from tests.support.qdrant_server import qdrant_server
from tests.support.random_searches import order_explained
from tests.support.weaviate_server import one_weaviate, settings_of
from tests.support.wire import (
    PATIENCE_S,
    Caller,
    calling,
    ids,
    read_results,
    refused,
)

pytestmark = pytest.mark.real_time

COUNT = 60

_SAMPLE = ROOT / "clients/demo/scifact"
CLAIMS = [each["text"] for _, each in json_lines(_SAMPLE / "queries.jsonl")]
CLAIM = CLAIMS[0]
"""On vitamin B12 and homocysteine, about which there are several abstracts."""

Search = search_service_pb2.SearchRequest


@dataclass(frozen=True, slots=True)
class Library:
    """A gateway with abstracts in its collection `papers`."""

    caller: Caller
    stored: Sequence[document_pb2.Document]
    version: int

    async def find(
        self, query: str = CLAIM, **more: Any
    ) -> search_service_pb2.SearchResponse:
        asked = Search(query=query, collection="papers", **more)
        return await self.caller.find(asked)


def abstracts() -> list[document_pb2.Document]:
    """Read real abstracts, on few subjects, and give them fields and groups."""
    read = []
    for place, (_, each) in enumerate(json_lines(_SAMPLE / "corpus.jsonl.gz")):
        document = document_pb2.Document(
            id=each["_id"],
            title=each["title"],
            text=each["text"],
            group_id=f"group {place % 5}",
        )
        document.metadata.update(
            {"shelf": place % 10, "kind": "odd" if place % 2 else "even"}
        )
        read.append(document)
    return read[:COUNT]


@pytest.fixture(scope="module", params=["embedded", "qdrant", "weaviate"])
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("store")
    async with AsyncExitStack() as parts:
        retrieval: dict[str, Any] = {"engine": "embedded", "path": str(folder)}
        if request.param == "qdrant":
            server = await parts.enter_async_context(qdrant_server(folder))
            retrieval = {"engine": "qdrant", "url": f"http://{server.address}"}
        if request.param == "weaviate":
            node = parts.enter_context(one_weaviate(folder))
            retrieval = settings_of([node])
        yield await parts.enter_async_context(running({"retrieval": retrieval}))


@pytest.fixture(scope="module")
async def library(gateway: Running) -> Library:
    caller = calling(gateway.channel)
    stored = abstracts()
    await caller.create(
        "papers",
        collection_pb2.CollectionField(
            name="shelf", type=collection_pb2.FIELD_TYPE_INT64
        ),
        collection_pb2.CollectionField(
            name="kind", type=collection_pb2.FIELD_TYPE_STRING
        ),
    )
    answer = await caller.load("papers", stored)
    assert answer.accepted_count == COUNT
    return Library(caller, stored, answer.version)


# Every way of searching

_BASES: dict[str, search_service_pb2.RetrievalOptions] = {
    "rrf_hybrid": search_service_pb2.RetrievalOptions(
        mode=search_service_pb2.RETRIEVAL_MODE_HYBRID
    ),
    "zscore_hybrid": search_service_pb2.RetrievalOptions(
        fusion=search_service_pb2.FUSION_ZSCORE
    ),
    "vector": search_service_pb2.RetrievalOptions(
        mode=search_service_pb2.RETRIEVAL_MODE_VECTOR
    ),
    "fulltext": search_service_pb2.RetrievalOptions(
        mode=search_service_pb2.RETRIEVAL_MODE_FULLTEXT
    ),
}
ON = search_service_pb2.RerankOptions(enabled=True)
OFF = search_service_pb2.RerankOptions(enabled=False)
MMR = search_service_pb2.MmrOptions(enabled=True)
AFTER = search_service_pb2.MmrOptions(
    enabled=True, stage=search_service_pb2.MMR_STAGE_AFTER_RERANK
)
_STAGES: dict[str, dict[str, Any]] = {
    "": {"rerank": OFF},
    "+mmr": {"rerank": OFF, "mmr": MMR},
    "+rerank": {"rerank": ON},
    "+mmr+rerank": {"rerank": ON, "mmr": MMR},
    "+rerank+mmr": {"rerank": ON, "mmr": AFTER},
}


async def test_every_method_of_search_is_asked_for_here() -> None:
    asked_for = {base + stages for base in _BASES for stages in _STAGES}
    assert asked_for == SEARCH_METHODS - {"rerank", "input_order"}


@pytest.mark.parametrize("stages", _STAGES)
@pytest.mark.parametrize("base", _BASES)
async def test_a_real_call_is_labelled_by_what_it_did(
    library: Library, base: str, stages: str
) -> None:
    answer = await library.find(
        retrieval=_BASES[base], **_STAGES[stages], limit=5, explain=True
    )

    assert answer.search_method == base + stages
    assert {each.search_method for each in answer.results} == {base + stages}
    assert not answer.fallback_triggered
    assert [each.rank for each in answer.results] == [1, 2, 3, 4, 5]
    assert len({*ids(answer)}) == 5
    for each in answer.results:
        said = each.explanation
        assert bool(said.vector_rank) or base != "vector"
        assert bool(said.bm25_rank) or base != "fulltext"
        assert said.HasField("mmr_relevance") is ("mmr" in stages)
        assert each.HasField("raw_score") is ("rerank" in stages)
        assert each.document.title
        assert not each.document.embedding
    happened = {each.name for each in answer.execution.stages}
    assert ("mmr" in happened) is ("mmr" in stages)
    assert ("rerank" in happened) is ("rerank" in stages)
    assert ("embed" in happened) is (base != "fulltext")
    if "rerank" in stages:
        assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
        assert answer.execution.backend == "local"
    else:
        assert answer.execution.outcome == execution_pb2.OUTCOME_NOT_REQUESTED


async def test_diversity_before_a_rerank_changes_the_top_of_a_real_list(
    library: Library,
) -> None:
    changed = []
    for claim in CLAIMS:
        plain = await library.find(claim, rerank=ON, limit=3)
        diverse = await library.find(claim, rerank=ON, limit=3, mmr=MMR)
        assert plain.search_method == "rrf_hybrid+rerank"
        assert diverse.search_method == "rrf_hybrid+mmr+rerank"
        if ids(plain) != ids(diverse):
            changed.append(claim)
    assert changed


async def test_the_best_abstract_is_about_the_claim(library: Library) -> None:
    answer = await library.find("homocysteine and vascular disease", limit=1)
    (best,) = answer.results
    assert "homocysteine" in best.document.title.lower()


# What a caller can ask


async def test_what_was_written_is_read(library: Library) -> None:
    caller, name = library.caller, "versions"
    await caller.create(name)

    for number in range(5):
        document = document_pb2.Document(id="cat", text=f"cat number{number}")
        version = (await caller.load(name, [document])).version
        asked = Search(query=f"number{number}", collection=name, min_version=version)
        found = await caller.find(asked)
        assert found.version >= version
        (result,) = found.results
        assert result.document.text == f"cat number{number}"
        assert result.search_method == "rrf_hybrid+rerank"

    version = await caller.delete(name, "cat")
    asked = Search(query="cat", collection=name, min_version=version)
    assert not (await caller.find(asked)).results

    asked.min_version = version + 100
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await caller.find(asked, within_s=0.5)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refused(raised.value).reason == "VERSION_NOT_REACHED"


async def test_a_filter_holds_in_both_legs(library: Library) -> None:
    both = filter_pb2.FilterList()
    both.filters.add().eq.CopyFrom(
        filter_pb2.EqualCondition(
            field="kind", value=filter_pb2.Value(string_value="even")
        )
    )
    both.filters.add().range.CopyFrom(
        filter_pb2.RangeCondition(field="shelf", gte=filter_pb2.Value(int64_value=4))
    )
    wanted = filter_pb2.Filter(**{"and": both})  # type: ignore[arg-type]  # a keyword
    expected = {
        each.id
        for place, each in enumerate(library.stored)
        if place % 2 == 0 and place % 10 >= 4
    }
    for base in ("rrf_hybrid", "zscore_hybrid", "vector"):
        answer = await library.find(filter=wanted, retrieval=_BASES[base], limit=COUNT)
        assert {*ids(answer)} == expected
    answer = await library.find(
        filter=wanted, retrieval=_BASES["fulltext"], limit=COUNT
    )
    assert {*ids(answer)} <= expected
    assert answer.results


async def test_a_progressive_search_answers_twice(library: Library) -> None:
    asked = Search(query=CLAIM, collection="papers", mmr=MMR, limit=5)
    messages = [
        each
        async for each in library.caller.search.SearchProgressive(
            search_service_pb2.SearchProgressiveRequest(search=asked),
            timeout=PATIENCE_S,
        )
    ]

    assert [each.final for each in messages] == [False, True]
    first, last = (each.search_response for each in messages)
    assert first.search_method == "rrf_hybrid+mmr"
    assert first.execution.outcome == execution_pb2.OUTCOME_PENDING
    assert ids(first) == ids(await library.find(mmr=MMR, rerank=OFF, limit=5))
    assert last.search_method == "rrf_hybrid+mmr+rerank"
    assert last.results == (await library.find(mmr=MMR, limit=5)).results
    assert {*ids(first)} == {*ids(last)}


async def test_one_source_does_not_fill_the_answer(library: Library) -> None:
    group = {each.id: each.group_id for each in library.stored}

    answer = await library.find(max_per_group=2, limit=COUNT)
    whole = await library.find(limit=COUNT)

    found = [group[each] for each in ids(answer)]
    assert sorted(found) == sorted([*{*group.values()}] * 2)
    taken: list[str] = []
    for each in ids(whole):
        if sum(group[other] == group[each] for other in taken) < 2:
            taken.append(each)
    assert ids(answer) == taken


@pytest.mark.parametrize("stages", _STAGES)
@pytest.mark.parametrize("base", _BASES)
async def test_what_is_explained_on_the_wire_gives_the_order(
    library: Library, base: str, stages: str
) -> None:
    answer = await library.find(
        retrieval=_BASES[base], **_STAGES[stages], limit=COUNT, explain=True
    )

    results = read_results(answer.results, relevance_weight=0.7)
    assert order_explained(results) == ids(answer)
    for each in results:
        terms = (each.explanation.bm25_term, each.explanation.vector_term)
        summands = [term.value for term in terms if term]
        assert bool(summands) is ("hybrid" in base)
        if summands:
            assert math.fsum(summands) == each.retrieval_score


async def test_vectors_come_only_when_asked_for(library: Library) -> None:
    answer = await library.find(return_embeddings=True, limit=3)

    for each in answer.results:
        assert len(each.document.embedding) == 384
        assert math.hypot(*each.document.embedding) == pytest.approx(1.0, abs=1e-3)
    again = await library.find("", embedding=answer.results[0].document.embedding)
    assert again.search_method == "vector"
    assert again.results[0].id == answer.results[0].id


async def test_pages_fit_together(library: Library) -> None:
    sizes: dict[str, Any] = {
        "retrieval": search_service_pb2.RetrievalOptions(candidates=100),
        "mmr": search_service_pb2.MmrOptions(enabled=True, pool=20),
        "rerank": search_service_pb2.RerankOptions(top_k=30),
    }
    whole = ids(await library.find(limit=COUNT, **sizes))
    pages = [
        await library.find(limit=25, offset=offset, **sizes) for offset in (0, 25, 50)
    ]
    assert [each for page in pages for each in ids(page)] == whole
    assert sorted(whole) == sorted(each.id for each in library.stored)
    assert pages[2].results[0].rank == 51


async def test_the_built_in_scorer_judges_all_by_what_the_collection_knows(
    library: Library,
) -> None:
    answer = await library.find(limit=COUNT)

    assert answer.execution.model == "all-minilm-l6-v2+bm25"
    assert answer.execution.scored_count == COUNT
    assert not answer.execution.unscored_indexes


# What goes wrong


async def test_an_unknown_collection_is_not_found(library: Library) -> None:
    for rerank in (ON, OFF):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await library.caller.find(
                Search(query="x", collection="nowhere", rerank=rerank)
            )
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        info = refused(raised.value)
        assert info.reason == "COLLECTION_NOT_FOUND"
        assert info.metadata["collection"] == "nowhere"


async def test_a_gateway_without_an_engine_says_what_to_do() -> None:
    async with running({"retrieval": {"engine": "none"}}) as started:
        caller = calling(started.channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await caller.find(Search(query="x"))
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert refused(raised.value).reason == "RETRIEVAL_NOT_CONFIGURED"
        assert "retrieval.engine is none" in (raised.value.details() or "")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await caller.load("default", [document_pb2.Document(id="a", text="a")])
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
