"""Score a long document by its best passage, instead of by its beginning."""

import asyncio
from dataclasses import replace

import pytest

from gateway.backends.errors import BackendError, Excess, TooLarge, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Candidate, ScoreRequest, Scores, Usage
from gateway.layers.chunk import Chunk
from gateway.layers.depth import Depth
from gateway.layers.passages import Passages
from gateway.ranking.normalize import Scale
from gateway.ranking.passages import WORDS, split
from tests.support.scorers import (
    FakeScorer,
    Step,
    answers,
    asking,
    fails,
    gives,
    hangs,
)


def long(*numbers: int) -> str:
    """Write a text that splits into one passage for each number, which it begins with."""
    filling = "word " * (WORDS - 2) + "end. "
    text = "".join(f"{number} {filling}" for number in numbers)
    passages, _ = split(text, most=100)
    assert len(passages) >= len(numbers)
    return text


def best_number() -> Step:
    """Judge each text by the greatest number in it; without one it is judged 0."""

    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        found = [
            [float(word) for word in each.text.split() if word.isdigit()]
            for each in request.documents
        ]
        return scorer.scores(*(max(numbers, default=0.0) for numbers in found))

    return step


def splitting(
    *texts: str, passages: int = 100, depth: int | None = None
) -> ScoreRequest:
    return replace(asking(*texts, depth=depth), passages=passages)


async def test_the_best_passage_is_the_score_of_its_document() -> None:
    backend = FakeScorer(best_number())
    scores = await Passages(backend).score(
        splitting("5 short", long(1, 9, 2), "7 short", long(3, 1, 4))
    )
    assert scores.raw == (5.0, 9.0, 7.0, 4.0)


async def test_passages_are_asked_for_in_order_with_the_rank_of_their_document() -> (
    None
):
    backend = FakeScorer(best_number())
    text = long(1, 2, 3)
    await Passages(backend).score(splitting("a", text, "b"))
    (request,) = backend.requests
    passages, _ = split(text, most=100)
    assert [each.text for each in request.documents] == ["a", *passages, "b"]
    assert [each.rank for each in request.documents] == [
        1,
        *[2] * len(passages),
        3,
    ]
    assert request.query == "q"


async def test_a_negative_score_is_better_than_none() -> None:
    text = long(1, 2)
    count = len(split(text, most=100)[0])
    raw: list[float | None] = [None] * count
    raw[1] = -3.0
    passages = Passages(FakeScorer(answers(*raw, -8.0)))
    scores = await passages.score(splitting(text, "short"))
    assert scores.raw == (-3.0, -8.0)
    assert scores.complete


async def test_a_document_without_any_scored_passage_is_unscored() -> None:
    text = long(1, 2)
    count = len(split(text, most=100)[0])
    passages = Passages(FakeScorer(answers(*[None] * count, 1.0)))
    scores = await passages.score(splitting(text, "short"))
    assert scores.raw == (None, 1.0)
    assert not scores.complete


async def test_where_a_part_is_taken_a_document_scored_in_part_is_unscored() -> None:
    """The time was over in the middle of it: its best passage may be among the others."""
    text = long(1, 2)
    count = len(split(text, most=100)[0])
    passages = Passages(FakeScorer(answers(9.0, 8.0, *[None] * (count - 1), None)))
    request = splitting("short", text, "short")
    scores = await passages.score(replace(request, takes_partial=True))
    assert scores.raw == (9.0, None, None)


async def test_what_is_beyond_the_last_passage_is_said_to_be_unread() -> None:
    backend = FakeScorer(best_number())
    scores = await Passages(backend).score(
        splitting("1", long(1, 2, 3, 4, 99), long(5), passages=2)
    )
    assert scores.truncated == {1}
    assert scores.raw[1] == 2.0
    assert backend.sizes == [1 + 2 + 1]


async def test_a_passage_that_the_model_cut_makes_its_document_truncated() -> None:
    first, second = long(1, 2), long(3, 4)
    counts = [len(split(each, most=100)[0]) for each in (first, second)]
    said = Scores(
        raw=(1.0,) * (sum(counts) + 1),
        scale=Scale.LOGIT,
        backend="fake",
        model="m",
        # Two of the second document, and the third, which was not split.
        truncated=frozenset({counts[0], counts[0] + 1, sum(counts)}),
        usage=Usage(tokens=7),
    )
    scores = await Passages(FakeScorer(gives(said))).score(
        splitting(first, second, "short")
    )
    assert scores.truncated == {1, 2}
    assert (scores.backend, scores.model) == ("fake", "m")
    assert scores.usage == Usage(tokens=7, passages=sum(counts))


async def test_only_parts_of_split_documents_are_counted() -> None:
    backend = FakeScorer(best_number())
    text = long(1, 2, 3)
    scores = await Passages(backend).score(splitting("1", text, "2", passages=3))
    assert scores.usage.passages == 3
    scores = await Passages(backend).score(splitting("1", "2"))
    assert scores.usage.passages == 0


async def test_a_request_that_does_not_want_it_is_passed_on_untouched() -> None:
    backend = FakeScorer()
    request = asking(long(1, 2, 3), "short")
    scores = await Passages(backend).score(request)
    assert backend.requests == [request]
    assert backend.requests[0] is request
    assert scores.usage == Usage()


@pytest.mark.parametrize(
    "error",
    [Unavailable("tei", "refused"), TooLarge("tei", Excess.TOKENS)],
)
async def test_a_failure_passes(error: BackendError) -> None:
    passages = Passages(FakeScorer(fails(lambda: error)))
    with pytest.raises(BackendError) as raised:
        await passages.score(splitting(long(1, 2)))
    assert raised.value is error


async def test_a_caller_who_leaves_ends_the_call() -> None:
    backend = FakeScorer(hangs())
    task = asyncio.create_task(Passages(backend).score(splitting(long(1, 2))))
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(backend.cancelled) == 1


async def test_the_caller_counts_documents_and_the_backend_passages() -> None:
    backend = FakeScorer(best_number())
    facts = Facts(max_documents=2, model="", fixed=True)
    layers = Depth(
        Passages(Chunk(backend, facts=facts, reserve_s=0.01)),
        default=9,
        default_found=9,
        most=None,
    )
    scores = await layers.score(
        splitting(long(1, 9, 2, 3), "7", long(8, 1), passages=3, depth=2)
    )
    assert scores.raw == (9.0, 7.0, None)
    assert scores.beyond == 1
    assert scores.complete
    assert backend.sizes == [2, 2]


async def test_vectors_that_a_caller_brought_stay_with_their_documents() -> None:
    backend = FakeScorer(best_number())
    document = Candidate(text=long(1, 2), rank=1, embedding=(1.0, 0.0))
    await Passages(backend).score(replace(splitting("a"), documents=(document,)))
    assert {each.embedding for each in backend.requests[0].documents} == {(1.0, 0.0)}
