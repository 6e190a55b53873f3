"""Random collections, searches and misfortunes, small enough to read when one fails."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from gateway.backends.errors import Unavailable
from gateway.backends.scorer import ScoreRequest, Scores
from gateway.errors import OutOfTime, RetrievalUnavailable
from gateway.layers.fallback import Fallback
from gateway.layers.timeout import Timeout
from gateway.ranking.normalize import Scale
from gateway.retrieval.errors import EngineFailed
from gateway.searching.contract import (
    Fusion,
    Mmr,
    MmrStage,
    Mode,
    RerankWish,
    Result,
    Retrieval,
    Searched,
)
from tests.support.embedders import FakeEmbedder, fails, reads
from tests.support.scorers import FakeScorer
from tests.support.searches import SPACE, Scene, scene

EVERYTHING = 1000
"""More than any collection here has."""

OFF = RerankWish(enabled=False)

_LATE_S = 60.0

_WORDS = ("bread", "rye", "oven", "baked", "flour", "soup", "pot", "7", "-2")
_sentences = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=6).map(" ".join)

corpora = st.dictionaries(
    st.sampled_from("abcdefghijkl"), _sentences, min_size=1, max_size=12
)
queries = st.lists(st.sampled_from(_WORDS[:7]), min_size=1, max_size=7).map(" ".join)
groupings = st.dictionaries(
    st.sampled_from("abcdefghijkl"), st.sampled_from(["x", "y"])
)

_weights = st.sampled_from([None, 0.5, 1.0, 1.7])
retrievals = st.builds(
    Retrieval,
    mode=st.sampled_from(Mode),
    fusion=st.sampled_from([None, *Fusion]),
    candidates=st.sampled_from([0, 0, 3]),
    rrf_k=st.sampled_from([1, 60, 10_000]),
    vector_weight=_weights,
    bm25_weight=_weights,
    adaptive_weights=st.sampled_from([None, False, True]),
    min_rrf_score=st.sampled_from([None, None, 0.0, 0.02]),
    min_similarity=st.sampled_from([None, None, -1.0, 0.2]),
)
mmrs = st.builds(
    Mmr,
    relevance_weight=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    stage=st.sampled_from(MmrStage),
    pool=st.sampled_from([0, 1, 3, 100]),
)
reranks = st.builds(
    RerankWish,
    enabled=st.sampled_from([None, True, False]),
    top_k=st.sampled_from([None, 1, 4]),
)


@dataclass(frozen=True, kw_only=True)
class Misfortune:
    """What fails, and how much of what the model is asked it does not answer."""

    broken: frozenset[str] = frozenset()
    """Legs (`bm25`, `vector`), `vectors`, `scores`, `embedder` or `rerank`."""
    late: frozenset[str] = frozenset()
    """Of the same, what takes much longer than anybody waits."""
    has_vectors: bool = True
    has_embedder: bool = True
    scores_every: int = 1
    """Of how many documents one is scored, beginning with the first."""


_parts = st.frozensets(
    st.sampled_from(
        ["bm25", "vector", "vectors", "scores", "embedder", "rerank", "rerank"]
    ),
    max_size=3,
)
_other: dict[str, Any] = {
    "has_vectors": st.sampled_from([True, True, True, False]),
    "has_embedder": st.sampled_from([True, True, True, False]),
    "scores_every": st.sampled_from([1, 1, 2]),
}
misfortunes = st.builds(Misfortune, broken=_parts, **_other)
delays = st.builds(Misfortune, broken=_parts, late=_parts, **_other)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One search without its limits."""

    query: str
    retrieval: Retrieval
    mmr: Mmr | None
    rerank: RerankWish

    def asking(self, **more: Any) -> dict[str, Any]:
        return {
            "query": self.query,
            "retrieval": self.retrieval,
            "mmr": self.mmr,
            "rerank": self.rerank,
            "limit": EVERYTHING,
            **more,
        }


searches = st.builds(
    Wanted,
    query=queries,
    retrieval=retrievals,
    mmr=st.none() | mmrs,
    rerank=reranks,
)


@dataclass
class Witness:
    """Sees what the fakes really do."""

    scene: Scene
    answered: list[Scores] = field(default_factory=list)
    """What the model said."""

    async def ask(self, wanted: Wanted, **more: Any) -> Searched | None:
        """Search; None: neither leg could be searched."""
        self.answered.clear()
        self.scene.retriever.done.clear()
        try:
            return await self.scene.ask(**wanted.asking(**more))
        except (RetrievalUnavailable, OutOfTime):
            return None

    def base(self, wanted: Wanted) -> str:
        """Tell from the calls that ended well how documents were found."""
        done = self.scene.retriever.done
        if "vector" not in done:
            return "fulltext" if "bm25" in done else ""
        if "bm25" not in done:
            return "vector"
        zscore = wanted.retrieval.fusion is Fusion.ZSCORE and "scores" in done
        return "zscore_hybrid" if zscore else "rrf_hybrid"

    @property
    def reranked(self) -> bool:
        return bool(self.answered)

    @property
    def vectors_came(self) -> bool:
        """Whether MMR had what it needs."""
        return "vectors" in self.scene.retriever.done


async def witnessed(
    texts: Mapping[str, str],
    misfortune: Misfortune = Misfortune(),
    *,
    groups: Mapping[str, str] | None = None,
    scale: Scale = Scale.LOGIT,
) -> Witness:
    """Build a scene whose parts fail as told, and watch them."""
    answered: list[Scores] = []

    async def judge(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        if "rerank" in misfortune.late:
            await asyncio.sleep(_LATE_S)
        if "rerank" in misfortune.broken:
            raise Unavailable(scorer.backend, "refused")
        raw = [
            float(len(each.text) % 5) if not place % misfortune.scores_every else None
            for place, each in enumerate(request.documents)
        ]
        answered.append(scorer.scores(*raw))
        return answered[-1]

    scorer = FakeScorer(judge, scale=scale)
    patient = Timeout(scorer, backend="fake", attempt_s=_LATE_S, fair_s=0.5)
    late_s = _LATE_S if "embedder" in misfortune.late else 0.0
    made = await scene(
        texts,
        scorer=scorer,
        stage_two=Fallback((patient,)),
        embedder=FakeEmbedder(
            fails(lambda: Unavailable("embedder", "refused"))
            if "embedder" in misfortune.broken
            else reads(SPACE, after_s=late_s)
        ),
        has_embedder=misfortune.has_embedder,
        dimension=8 if misfortune.has_vectors else 0,
        groups=groups,
    )
    for name in misfortune.broken - {"embedder", "rerank"}:
        made.retriever.failures[name] = EngineFailed("the engine failed")
    for name in misfortune.late - {"embedder", "rerank"}:
        made.retriever.takes_s[name] = _LATE_S
    return Witness(made, answered)


# The order of an answer, from nothing but what the answer explains


def order_explained(results: tuple[Result, ...]) -> list[str]:
    """Sort results anew by what each says, after the rules of the contract."""
    found = sorted(results, key=_found)
    chosen = _diversified(found, after=False)
    reranked = _reranked(chosen)
    return [each.id for each in _diversified(reranked, after=True)]


def _found(result: Result) -> tuple[float, list[float], int, str]:
    """Give the place in the order of retrieval: ties by the legs' terms, then the id."""
    said = result.explanation
    if said.bm25_term is None and said.vector_term is None:
        return -result.retrieval_score, [], said.bm25_rank or said.vector_rank, ""
    terms = [-each.value if each else math.inf for each in _terms(result)]
    return -result.retrieval_score, terms, 0, result.id


def _terms(result: Result) -> list[Any]:
    return [result.explanation.bm25_term, result.explanation.vector_term]


def _diversified(order: list[Result], *, after: bool) -> list[Result]:
    placed = [
        each
        for each in order
        if each.explanation.marginal
        and each.search_method.endswith("+rerank+mmr") is after
    ]
    placed.sort(key=_marginal)
    return placed + [each for each in order if each not in placed]


def _marginal(result: Result) -> tuple[float, float]:
    marginal = result.explanation.marginal
    assert marginal
    return -marginal.score, -marginal.relevance


def _reranked(order: list[Result]) -> list[Result]:
    scored = [each for each in order if each.raw_score is not None]
    scored.sort(key=lambda each: -(each.raw_score or 0.0))
    return scored + [each for each in order if each.raw_score is None]
