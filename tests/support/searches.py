"""A search use case over documents in memory, with a scorer and an embedder that play."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.backends.scorer import Scorer
from gateway.layers.fallback import Fallback
from gateway.reranking import Reranking, Reserve, Route
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.retriever import Document
from gateway.searching import Searching, SearchRoute
from gateway.searching.contract import Fusion, Result, Search, Searched
from gateway.searching.finding import Finding
from tests.support.embedders import FakeEmbedder, reads
from tests.support.memory_retriever import MemoryRetriever
from tests.support.scorers import FakeScorer

SPACE = "m"
"""Whose vectors the collection `default` has."""

ROUTE = SearchRoute(
    enabled=True, fusion=Fusion.RRF, adaptive_weights=False, timeout_s=30.0, top_k=100
)

TEXTS: Mapping[str, str] = {
    "bread": "bread is baked from flour in an oven",
    "cake": "a cake is baked from flour and sugar",
    "oven": "an oven is hot",
    "soup": "soup is cooked in a pot",
    "rye": "bread from rye is dark bread",
}


@dataclass(slots=True)
class Scene:
    """Everything that a search needs, each part at hand."""

    retriever: MemoryRetriever
    embedder: FakeEmbedder
    scorer: FakeScorer
    searching: Searching
    asked: dict[str, Any] = field(default_factory=dict)

    async def ask(self, query: str = "baked bread", **more: Any) -> Searched:
        """Search, with what the caller says beside the query."""
        return await self.searching.search(Search(query=query, **more))


async def scene(
    texts: Mapping[str, str] = TEXTS,
    *,
    scorer: FakeScorer | None = None,
    stage_two: Scorer | None = None,
    embedder: FakeEmbedder | None = None,
    has_embedder: bool = True,
    dimension: int = 8,
    space: str = SPACE,
    route: SearchRoute = ROUTE,
    passages: int = 0,
    groups: Mapping[str, str] | None = None,
) -> Scene:
    """Store documents and put a use case before them."""
    retriever = MemoryRetriever()
    made = embedder or FakeEmbedder(reads(SPACE, dimension=dimension or 8))
    await retriever.create_collection(
        "default", fields=(), dimension=dimension, embedder=space if dimension else ""
    )
    stored = [
        Document(
            each, "", text, await _vector(text, dimension), (groups or {}).get(each, "")
        )
        for each, text in texts.items()
    ]
    await retriever.upsert("default", stored, embedder=space if dimension else "")
    judge = scorer or FakeScorer()
    reserve = Reserve(share=0.05, least_s=0.02)
    reranking = Reranking(
        routes={
            "default": Route(
                scorer=stage_two or Fallback((judge,)),
                backends=(),
                timeout_s=30.0,
                top_k=None,
                min_score=None,
                backend_min_scores={},
                passages=passages,
                takes_partial=False,
                cache_ttl_s=None,
            )
        },
        reserve=reserve,
    )
    made_embedder: Embedder | None = made if has_embedder else None
    return Scene(
        retriever=retriever,
        embedder=made,
        scorer=judge,
        searching=Searching(
            retriever=retriever,
            finding=Finding(retriever=retriever, embedder=made_embedder),
            reranking=reranking,
            routes={"default": route},
            reserve=reserve,
            timeout_s=5.0,
        ),
    )


def ids(answer: Searched) -> list[str]:
    """Name the results, best first."""
    return [each.id for each in answer.results]


def methods(answer: Searched) -> list[str]:
    """Tell how each result was placed."""
    return [each.search_method for each in answer.results]


def stages(answer: Searched) -> list[tuple[str, str]]:
    """Tell how each stage went."""
    return [(each.name, str(each.outcome)) for each in answer.execution.stages]


def by_id(answer: Searched) -> dict[str, Result]:
    return {each.id: each for each in answer.results}


async def _vector(text: str, dimension: int) -> Any:
    if not dimension:
        return None
    read = FakeEmbedder(reads(SPACE, dimension=dimension))
    step = reads(SPACE, dimension=dimension)
    return (await step(read, [text])).vectors[0]
