"""The built-in scorer, where the collection that documents were found in knows them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.backends.errors import Unavailable
from gateway.backends.local.inference import InferenceFailed
from gateway.backends.local.scorer import LocalScorer
from gateway.backends.scorer import Candidate, Evidence, ScoreRequest
from gateway.ranking.fusion import zscores
from gateway.ranking.normalize import Scale
from tests.backends.local.fake_encoder import FakeEncoder


def _must_not(text: str) -> None:
    raise InferenceFailed(text)


@pytest.fixture
def scorer() -> Iterator[LocalScorer]:
    """Give a scorer that cannot encode anything."""
    with ExitStack() as stack:
        made = LocalScorer(
            name="local",
            threads=1,
            max_cache_bytes=10**6,
            encoder=FakeEncoder(before=_must_not),
        )
        stack.callback(made.close)
        yield made


def asking(
    known: Mapping[int, Evidence], *, ranks: Sequence[int], **more: Any
) -> ScoreRequest:
    """Ask about documents at these ranks, of which the collection knows some."""

    async def lookup(asked: Sequence[int]) -> Sequence[Evidence | None]:
        return [known.get(rank) for rank in asked]

    documents = tuple(Candidate(text=f"text {rank}", rank=rank) for rank in ranks)
    return ScoreRequest(
        query="q", documents=documents, deadline=1e9, lookup=lookup, **more
    )


KNOWN = {
    1: Evidence(bm25=3.0, cosine=0.1),
    2: Evidence(bm25=1.0, cosine=0.9),
    3: Evidence(bm25=2.0, cosine=0.8),
    5: Evidence(bm25=0.0, cosine=-0.5),
}


async def test_documents_are_judged_by_both_zscores_and_nothing_is_encoded(
    scorer: LocalScorer,
) -> None:
    scores = await scorer.score(asking(KNOWN, ranks=[1, 2, 3, 5], space="minilm"))
    words = zscores([3.0, 1.0, 2.0, 0.0])
    cosines = zscores([0.1, 0.9, 0.8, -0.5])
    assert scores.raw == tuple(a + b for a, b in zip(words, cosines, strict=True))
    best_first = sorted(range(4), key=lambda place: -(scores.raw[place] or 0.0))
    assert best_first == [2, 0, 1, 3]


async def test_what_it_says_about_itself(scorer: LocalScorer) -> None:
    scores = await scorer.score(asking(KNOWN, ranks=[1, 2], space="minilm"))
    assert (scores.backend, scores.model) == ("local", "minilm+bm25")
    assert scores.scale is Scale.RELATIVE
    # The collection read all of them, however long they are.
    assert not scores.truncated
    brought = await scorer.score(asking(KNOWN, ranks=[1, 2]))
    assert brought.model == "brought-vectors+bm25"


async def test_a_document_without_evidence_is_unscored_and_sways_no_other(
    scorer: LocalScorer,
) -> None:
    some = await scorer.score(asking(KNOWN, ranks=[1, 4, 2, 6, 3]))
    known = await scorer.score(asking(KNOWN, ranks=[1, 2, 3]))
    assert some.raw == (known.raw[0], None, known.raw[1], None, known.raw[2])
    assert not some.complete


async def test_the_rank_received_counts_for_nothing(scorer: LocalScorer) -> None:
    same = Evidence(bm25=1.0, cosine=0.5)
    known = {1: same, 2: Evidence(bm25=2.0, cosine=0.1), 99: same}
    scores = await scorer.score(asking(known, ranks=[1, 2, 99]))
    assert scores.raw[0] == scores.raw[2]


async def test_evidence_counts_for_more_than_vectors_that_came_along(
    scorer: LocalScorer,
) -> None:
    request = asking(KNOWN, ranks=[1, 2], query_embedding=(1.0, 0.0))
    documents = tuple(
        Candidate(text=each.text, rank=each.rank, embedding=(0.0, 1.0))
        for each in request.documents
    )
    plain = await scorer.score(request)
    brought = await scorer.score(
        ScoreRequest(
            query="q",
            documents=documents,
            deadline=1e9,
            query_embedding=(1.0, 0.0),
            lookup=request.lookup,
        )
    )
    assert brought.raw == plain.raw
    assert brought.model == plain.model


async def test_a_single_document_gets_zero(scorer: LocalScorer) -> None:
    assert (await scorer.score(asking(KNOWN, ranks=[2]))).raw == (0.0,)


async def test_a_silent_collection_makes_the_scorer_unavailable(
    scorer: LocalScorer,
) -> None:
    with pytest.raises(Unavailable, match="the collection says nothing") as raised:
        await scorer.score(asking({}, ranks=[1, 2]))
    assert raised.value.backend == "local"


async def test_without_a_collection_the_texts_are_encoded() -> None:
    encoder = FakeEncoder()
    scorer = LocalScorer(
        name="local", threads=1, max_cache_bytes=10**6, encoder=encoder
    )
    request = asking(KNOWN, ranks=[1, 2])
    await scorer.score(
        ScoreRequest(query="q", documents=request.documents, deadline=1e9)
    )
    scorer.close()
    assert sorted(encoder.calls) == ["q", "text 1", "text 2"]
