"""Ask a backend only so many things at once, and let only so many wait."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from gateway.backends.errors import BackendError, Overloaded, Unavailable
from gateway.backends.scorer import Scorer, Scores
from gateway.layers.limit import Limit
from tests.support.scorers import (
    FakeScorer,
    after,
    asking,
    fails,
    hangs,
    now,
    reads,
)


def limited(scorer: Scorer, *, in_flight: int = 1, queued: int = 8) -> Limit:
    return Limit(scorer, backend="tei", in_flight=in_flight, queued=queued)


async def gathered(*calls: Coroutine[Any, Any, Scores]) -> list[object]:
    return [*await asyncio.gather(*calls, return_exceptions=True)]


async def test_only_so_many_calls_are_made_at_once() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend, in_flight=3)
    began = now()
    await gathered(*(scorer.score(asking("1")) for _ in range(9)))
    assert backend.most_running == 3
    assert now() - began == pytest.approx(3)


async def test_first_come_first_served() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend)
    order = [f"query {number}" for number in range(5)]
    await gathered(*(scorer.score(asking("1", query=query)) for query in order))
    assert backend.queries == order


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend)

    async def later(query: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await scorer.score(asking("1", query=query))

    # The third arrives in the very moment in which the first leaves.
    await asyncio.gather(later("1st", 0), later("2nd", 0.5), later("3rd", 1.0))
    assert backend.queries == ["1st", "2nd", "3rd"]


async def test_a_full_queue_refuses_at_once() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend, in_flight=1, queued=2)
    began = now()
    held = [asyncio.create_task(scorer.score(asking("1"))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="tei: 2 calls wait for it") as raised:
        await scorer.score(asking("1"))
    assert now() == began
    assert raised.value.transient
    assert not raised.value.blames_backend
    assert raised.value.attempts == ()
    await asyncio.gather(*held)


async def test_a_queue_of_zero_lets_none_wait() -> None:
    scorer = limited(FakeScorer(after(1, reads())), queued=0)
    first, second = await gathered(scorer.score(asking("1")), scorer.score(asking("1")))
    assert not isinstance(first, BaseException)
    assert isinstance(second, Overloaded)


async def test_a_turn_that_comes_too_late_is_refused_at_its_deadline() -> None:
    backend = FakeScorer(after(5, reads()))
    scorer = limited(backend)
    held = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0)
    began = now()
    with pytest.raises(Overloaded, match="its turn came too late"):
        await scorer.score(asking("1", within_s=2))
    assert now() - began == pytest.approx(2)
    assert len(backend.requests) == 1
    await held


async def test_whoever_gave_up_waiting_leaves_room_for_another() -> None:
    scorer = limited(FakeScorer(after(5, reads())), in_flight=1, queued=1)
    held = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Overloaded, match="too late"):
            await scorer.score(asking("1", within_s=1))
    await held


async def test_a_slot_is_given_back_after_a_failure() -> None:
    backend = FakeScorer(fails(lambda: Unavailable("tei", "refused")), reads())
    scorer = limited(backend, queued=0)
    with pytest.raises(Unavailable):
        await scorer.score(asking("1"))
    assert (await scorer.score(asking("1"))).raw == (1.0,)


async def test_a_slot_is_given_back_after_a_cancellation() -> None:
    backend = FakeScorer(hangs(), reads())
    scorer = limited(backend, queued=0)
    asked = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(backend.cancelled) == 1
    assert (await scorer.score(asking("1"))).raw == (1.0,)


async def test_a_caller_who_leaves_the_queue_was_never_asked_for() -> None:
    backend = FakeScorer(after(2, reads()))
    scorer = limited(backend, queued=1)
    held = asyncio.create_task(scorer.score(asking("1")))
    waiting = asyncio.create_task(scorer.score(asking("2")))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.gather(held, scorer.score(asking("3")))
    assert [request.documents[0].text for request in backend.requests] == ["1", "3"]


@pytest.mark.parametrize("seed", range(20))
async def test_no_slot_is_ever_lost_or_doubled(seed: int) -> None:
    """Deadlines, cancellations and answers fall on the same instants, again and again."""
    chance = random.Random(seed)
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend, in_flight=2, queued=5)

    async def call() -> None:
        await asyncio.sleep(chance.randrange(6))
        asked = asyncio.ensure_future(
            scorer.score(asking("1", within_s=chance.choice([1, 2, 3, 100])))
        )
        leaves = asyncio.get_running_loop().call_later(
            chance.choice([1, 2, 3, 100]), asked.cancel
        )
        try:
            await asked
        except (BackendError, asyncio.CancelledError):
            pass
        finally:
            leaves.cancel()

    await asyncio.gather(*(call() for _ in range(30)))
    assert backend.most_running == 2
    backend.most_running = 0
    await asyncio.gather(*(scorer.score(asking("1")) for _ in range(7)))
    assert backend.most_running == 2
