"""Shorten documents that are too long for a backend that does not cut them itself."""

from dataclasses import replace

import pytest

from gateway.backends.errors import (
    Excess,
    FailureReason,
    TooLarge,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, Scores
from gateway.layers.record import Record
from gateway.layers.shorten import Shorten
from gateway.ranking.normalize import Scale
from tests.support.scorers import FakeScorer, Step, answers, asking, fails, gives, reads

SHORT = "A failed disk should be replaced before the array is rebuilt."
LONG = "word " * 800  # about 1000 tokens


def too_long(*, given: int | None = None, limit: int | None = None) -> Step:
    return fails(lambda: TooLarge("fake", Excess.TOKENS, given=given, limit=limit))


def shortened(scorer: Scorer, *, max_tokens: int = 512) -> Shorten:
    facts = Facts(max_documents=8, model="m", fixed=True)
    record = Record(scorer, backend="fake", facts=facts, emit=lambda _: None)
    return Shorten(record, max_tokens=max_tokens)


async def test_what_the_backend_takes_is_not_touched() -> None:
    backend = FakeScorer()
    scores = await shortened(backend).score(asking(SHORT, LONG))
    assert len(backend.requests) == 1
    assert scores.truncated == frozenset()


async def test_only_the_long_documents_are_cut_and_named() -> None:
    backend = FakeScorer(too_long(given=1010, limit=512), reads())
    whole = asking(SHORT, LONG, SHORT, LONG, query="why")
    scores = await shortened(backend).score(whole)
    again = backend.requests[1]
    assert scores.truncated == {1, 3}
    assert [again.documents[place] for place in (0, 2)] == [
        whole.documents[place] for place in (0, 2)
    ]
    for place in (1, 3):
        assert LONG.startswith(again.documents[place].text)
    # 1010 tokens for some 4000 characters: 512 of them are some 2000, less a margin.
    assert 1200 < len(again.documents[1].text) < 2000
    assert replace(again, documents=whole.documents) == whole


async def test_what_the_backend_had_cut_itself_is_named_too() -> None:
    told = Scores(
        raw=(1.0, 2.0),
        scale=Scale.LOGIT,
        backend="fake",
        model="m",
        truncated=frozenset({0}),
    )
    backend = FakeScorer(too_long(given=1010, limit=512), gives(told))
    scores = await shortened(backend).score(asking(SHORT, LONG))
    assert scores.truncated == {0, 1}


async def test_without_numbers_the_configured_bound_and_a_guess_are_used() -> None:
    backend = FakeScorer(too_long(), reads())
    await shortened(backend, max_tokens=512).score(asking(LONG))
    assert 800 < len(backend.requests[1].documents[0].text) < 1400


async def test_dense_scripts_are_cut_to_fewer_characters() -> None:
    backend = FakeScorer(too_long(), reads())
    await shortened(backend, max_tokens=512).score(asking("数据库备份" * 200))
    assert 200 < len(backend.requests[1].documents[0].text) < 300


async def test_it_is_tried_three_times_and_not_again() -> None:
    backend = FakeScorer(too_long(given=1010, limit=512))
    with pytest.raises(TooLarge) as raised:
        await shortened(backend).score(asking(SHORT, LONG))
    assert len(backend.requests) == 4
    assert [each.failure for each in raised.value.attempts] == [
        FailureReason.TOO_LARGE
    ] * 4


async def test_a_second_refusal_tells_that_another_document_is_denser() -> None:
    # 300 estimated tokens, which are 900.
    dense = "xq7z " * 240
    backend = FakeScorer(
        too_long(given=1010, limit=512), too_long(given=900, limit=512), reads()
    )
    whole = asking(SHORT, LONG, dense)
    scores = await shortened(backend).score(whole)
    first, second = backend.requests[1:]
    assert scores.truncated == {1, 2}
    assert first.documents[2] == whole.documents[2]
    # 900 tokens for 1200 characters: 512 of them are some 680, less a margin.
    assert 300 < len(second.documents[2].text) < 680
    assert second.documents[0] == whole.documents[0]


async def test_a_smaller_bound_that_is_told_only_then_is_kept_too() -> None:
    # What llama.cpp's server does whose batch is larger than its context.
    backend = FakeScorer(
        too_long(given=3000, limit=2048), too_long(given=1640, limit=512), reads()
    )
    await shortened(backend).score(asking("word " * 2400))
    first, second = (len(each.documents[0].text) for each in backend.requests[1:])
    assert first > 6000
    assert 800 < second < 512 * first / 1640


async def test_a_refusal_is_not_taken_for_that_of_the_longest_document() -> None:
    # What was refused are the 1000 tokens of LONG, not the spaces, which are one.
    backend = FakeScorer(too_long(given=1010, limit=512), reads())
    await shortened(backend).score(asking(LONG, "a" + " " * 20_000 + "b"))
    assert 1200 < len(backend.requests[1].documents[0].text) < 2000


async def test_short_documents_are_not_cut_for_a_long_one_of_few_tokens() -> None:
    # Of an emoji that it does not know, a tokenizer makes no more than of a word.
    backend = FakeScorer(too_long(given=715, limit=512), reads())
    scores = await shortened(backend).score(asking(SHORT * 5, "💾🔥 " * 700))
    assert scores.truncated == {1}
    assert 700 < len(backend.requests[1].documents[1].text) < 1530


@pytest.mark.parametrize("symbols", ["{[(<=>)]};", "数据库备份"])
async def test_a_beginning_that_is_denser_than_the_rest_is_cut_shorter(
    symbols: str,
) -> None:
    backend = FakeScorer(too_long(given=2000, limit=512), reads())
    await shortened(backend).score(asking(symbols * (1000 // len(symbols)) + LONG))
    # Each symbol is a token.
    assert 300 < len(backend.requests[1].documents[0].text) < 512


async def test_both_calls_are_accounted_for() -> None:
    backend = FakeScorer(too_long(given=1010, limit=512), answers(1.0))
    scores = await shortened(backend).score(asking(LONG))
    assert [each.failure for each in scores.attempts] == [FailureReason.TOO_LARGE, None]


async def test_another_failure_of_the_second_call_passes_with_both_calls() -> None:
    lost = fails(lambda: Unavailable("fake", "lost"))
    with pytest.raises(Unavailable) as raised:
        await shortened(FakeScorer(too_long(), lost)).score(asking(LONG))
    assert [each.failure for each in raised.value.attempts] == [
        FailureReason.TOO_LARGE,
        FailureReason.UNAVAILABLE,
    ]


async def test_no_document_is_cut_for_a_query_that_is_too_long_itself() -> None:
    backend = FakeScorer(too_long(given=1500, limit=512))
    with pytest.raises(TooLarge):
        await shortened(backend).score(asking(SHORT, query=LONG))
    assert len(backend.requests) == 1


async def test_short_documents_that_were_refused_all_the_same_are_not_cut() -> None:
    backend = FakeScorer(too_long(given=20, limit=512))
    with pytest.raises(TooLarge):
        await shortened(backend).score(asking(SHORT))
    assert len(backend.requests) == 1


@pytest.mark.parametrize("excess", [Excess.DOCUMENTS, Excess.BYTES])
async def test_another_excess_is_not_its_business(excess: Excess) -> None:
    backend = FakeScorer(fails(lambda: TooLarge("fake", excess)))
    with pytest.raises(TooLarge):
        await shortened(backend).score(asking(LONG))
    assert len(backend.requests) == 1


async def test_other_failures_pass_as_they_are() -> None:
    backend = FakeScorer(fails(lambda: Unavailable("fake", "refused")))
    with pytest.raises(Unavailable):
        await shortened(backend).score(asking(LONG))
    assert len(backend.requests) == 1


async def test_what_is_left_of_a_document_is_never_blank() -> None:
    backend = FakeScorer(too_long(given=1010, limit=512), reads())
    await shortened(backend).score(asking(" " * 3900 + "end " * 25))
    assert backend.requests[1].documents[0].text == "e"
