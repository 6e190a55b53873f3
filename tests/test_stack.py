"""Which layers stand around one backend, and what they do together.

What their order is for is in `test_stack_order.py` and `test_stack_order_apart.py`.
"""

import asyncio

import pytest

from gateway.backends.errors import BackendError, CircuitOpen, TimedOut, TooLarge
from gateway.backends.scorer import ScoreRequest
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    asking,
    chooses,
    hangs,
    reads,
)
from tests.support.stacks import LONG, refuses_long, stacked


async def test_a_backend_that_cuts_by_itself_is_not_asked_again() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    with pytest.raises(TooLarge):
        await stacked(leaf, max_tokens=None).score(asking(LONG))
    assert len(leaf.requests) == 1


async def test_a_long_document_is_shortened_where_nothing_is_retried() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    assert (await stacked(leaf, retries=0).score(asking(LONG))).truncated == {0}


async def test_identical_requests_share_all_of_their_chunks() -> None:
    leaf = FakeScorer(after(1, reads()))
    scorer = stacked(leaf)
    await asyncio.gather(*(scorer.score(asking("1", "2", "3")) for _ in range(4)))
    assert leaf.sizes == [2, 1]


async def test_a_listwise_backend_is_asked_once_and_about_what_it_takes_together() -> (
    None
):
    leaf = FakeScorer()
    scores = await stacked(leaf, chunk=3, listwise=True).score(
        asking(*map(str, range(5)))
    )
    assert leaf.sizes == [3]
    assert scores.raw == (0.0, 1.0, 2.0, None, None)


async def test_one_chunk_that_is_late_gives_the_slots_of_all_back() -> None:
    def choose(request: ScoreRequest) -> Step:
        return hangs() if request.documents[0].text == "0" else after(9, reads())

    leaf = FakeScorer(chooses(choose))
    scorer = stacked(leaf, in_flight=3, queued=0, timeout_s=1.0, chunk=1)
    with pytest.raises(TimedOut):
        await scorer.score(asking("0", "1", "2"))
    assert leaf.running == 0
    quick = stacked(FakeScorer(), in_flight=3, queued=0, chunk=1)
    assert (await quick.score(asking("7", "8", "9"))).complete
    with pytest.raises(BackendError):
        await scorer.score(asking("0", "1", "2"))


async def test_an_answer_that_comes_too_late_opens_the_circuit() -> None:
    leaf = FakeScorer(hangs())
    scorer = stacked(leaf, failures_in_a_row=1)
    with pytest.raises(TimedOut):
        await scorer.score(asking("1"))
    with pytest.raises(CircuitOpen):
        await scorer.score(asking("2"))
    assert len(leaf.requests) == 1
