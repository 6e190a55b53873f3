"""Ask a backend only so many things at once, and let only so many wait."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from gateway.backends.errors import (
    BackendError,
    FailureReason,
    Overloaded,
    RateLimited,
    TooLate,
    Unavailable,
)
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.layers.limit import Limit, kept_by_default
from tests.support.scorers import (
    FakeScorer,
    after,
    asking,
    fails,
    hangs,
    now,
    reads,
)


def limited(
    scorer: Scorer, *, in_flight: int = 1, queued: int = 8, kept_free: int = 0
) -> Limit:
    return Limit(
        scorer,
        backend="tei",
        in_flight=in_flight,
        queued=queued,
        kept_free=kept_free,
    )


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


async def test_whoever_leaves_in_the_moment_of_his_turn_is_passed_over() -> None:
    backend = FakeScorer(hangs(), reads())
    scorer = limited(backend)
    held, leaving, staying = [
        asyncio.create_task(scorer.score(asking("1", query=query)))
        for query in ("held", "leaving", "staying")
    ]
    await asyncio.sleep(1)
    held.cancel()
    leaving.cancel()
    assert (await staying).raw == (1.0,)
    assert backend.queries == ["held", "staying"]
    for task in (held, leaving):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_whoever_leaves_just_after_his_turn_came_hands_it_over() -> None:
    backend = FakeScorer(hangs(), reads())
    scorer = limited(backend)
    held, leaving, staying = [
        asyncio.create_task(scorer.score(asking("1", query=query)))
        for query in ("held", "leaving", "staying")
    ]
    await asyncio.sleep(1)
    held.cancel()
    await asyncio.sleep(0)  # the turn is given, and not yet taken
    leaving.cancel()
    assert (await staying).raw == (1.0,)
    assert backend.queries == ["held", "staying"]
    for task in (held, leaving):
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("kept_free", [0, 1])
@pytest.mark.parametrize("seed", range(20))
async def test_no_slot_is_ever_lost_or_doubled(seed: int, kept_free: int) -> None:
    """Deadlines, cancellations and answers fall on the same instants, again and again."""
    chance = random.Random(seed)
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend, in_flight=2, queued=5, kept_free=kept_free)

    async def call() -> None:
        await asyncio.sleep(chance.randrange(6))
        caller, within_s = chance.choice("ab"), chance.choice([1, 2, 3, 100])
        asked = asyncio.ensure_future(scorer.score(of(caller, within_s=within_s)))
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
    await asyncio.sleep(_FORGOTTEN_S)
    await asyncio.gather(*(scorer.score(asking("1")) for _ in range(7)))
    assert backend.most_running == 2


# Callers


def of(caller: str, *, within_s: float = 100.0) -> ScoreRequest:
    return replace(asking("1", query=caller, within_s=within_s), caller=caller)


async def test_callers_take_turns() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend)
    await gathered(*(scorer.score(of(caller)) for caller in "aaaabc"))
    assert backend.queries == ["a", "b", "c", "a", "a", "a"]


async def test_the_newest_call_of_the_greediest_makes_room_in_a_full_queue() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = limited(backend, queued=3)
    began = now()
    greedy = [asyncio.create_task(scorer.score(of("a"))) for _ in range(4)]
    await asyncio.sleep(0.5)
    modest = asyncio.create_task(scorer.score(of("b")))
    with pytest.raises(Overloaded, match="a caller with fewer calls took its place"):
        await greedy[3]
    assert now() - began == pytest.approx(0.5)
    await asyncio.gather(*greedy[:3], modest)
    assert backend.queries == ["a", "b", "a", "a"]


# Slots that are kept free

_FORGOTTEN_S = 120.0
"""After so long without a call, a caller has no part any more."""


def sharing(backend: Scorer, *, kept_free: int = 1, in_flight: int = 4) -> Limit:
    return limited(backend, in_flight=in_flight, queued=100, kept_free=kept_free)


async def test_alone_a_caller_takes_all() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = sharing(backend)
    await gathered(*(scorer.score(of("a")) for _ in range(8)))
    assert backend.most_running == 4


async def test_whoever_holds_an_even_part_leaves_the_last_slot_to_another() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = sharing(backend)
    await scorer.score(of("b"))
    backend.most_running = 0
    greedy = [asyncio.create_task(scorer.score(of("a"))) for _ in range(9)]
    await asyncio.sleep(0.5)
    assert backend.most_running == 3
    began = now()
    await scorer.score(of("b"))
    assert now() - began == pytest.approx(1)
    assert backend.most_running == 4
    await asyncio.gather(*greedy)


async def test_all_slots_are_used_where_all_hold_less_than_their_part() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = sharing(backend, kept_free=3)
    await gathered(*(scorer.score(of(caller)) for caller in "aabb"))
    assert backend.most_running == 4


async def test_a_part_is_what_is_left_between_those_of_the_last_minute() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = sharing(backend)
    await scorer.score(of("b"))
    await asyncio.sleep(_FORGOTTEN_S)
    backend.most_running = 0
    await gathered(*(scorer.score(of("a")) for _ in range(8)))
    assert backend.most_running == 4


async def test_those_who_wait_are_given_what_need_not_be_kept_free_any_more() -> None:
    """And none of their own calls comes before them."""
    backend = FakeScorer(after(1, reads()), after(500, reads()))
    scorer = sharing(backend)
    await scorer.score(of("b"))
    calls = []
    for number in range(5):
        request = replace(of("a", within_s=2000), query=f"a{number}")
        calls.append(asyncio.create_task(scorer.score(request)))
    await asyncio.sleep(_FORGOTTEN_S)
    assert backend.queries == ["b", "a0", "a1", "a2"]
    last = replace(of("a", within_s=2000), query="a5")
    calls.append(asyncio.create_task(scorer.score(last)))
    await asyncio.sleep(0.5)
    assert backend.queries == ["b", "a0", "a1", "a2", "a3"]
    await asyncio.gather(*calls)
    assert backend.queries == ["b", "a0", "a1", "a2", "a3", "a4", "a5"]


async def test_nobody_starves() -> None:
    """Whoever waits before a slot that is kept free goes on when a call ends."""
    backend = FakeScorer(after(1, reads()))
    scorer = sharing(backend, kept_free=3)
    callers = "aaaaaaaabbbbbbbbcccccccdde"
    ended = await gathered(*(scorer.score(of(caller)) for caller in callers))
    assert [type(each) for each in ended] == [Scores] * len(callers)
    assert sorted(backend.queries) == sorted(callers)


async def test_a_slot_kept_free_is_given_back_after_a_cancellation() -> None:
    backend = FakeScorer(hangs())
    scorer = sharing(backend)
    modest = asyncio.create_task(scorer.score(of("b")))
    await asyncio.sleep(0.1)
    greedy = [asyncio.create_task(scorer.score(of("a"))) for _ in range(4)]
    await asyncio.sleep(0.1)
    assert backend.queries == ["b", "a", "a"]
    modest.cancel()
    await asyncio.wait([modest])
    await asyncio.sleep(0.1)
    assert backend.queries == ["b", "a", "a", "a"]
    again = asyncio.create_task(scorer.score(of("b")))
    await asyncio.sleep(0.1)
    assert backend.queries == ["b", "a", "a", "a", "b"]
    greedy[0].cancel()
    again.cancel()
    await asyncio.wait([greedy[0], again])
    await asyncio.sleep(0.1)
    assert backend.queries == ["b", "a", "a", "a", "b", "a"]
    for each in greedy:
        each.cancel()
    await asyncio.wait(greedy)


async def test_who_has_to_leave_slots_free_is_told_when_its_turn_comes() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = sharing(backend, kept_free=2)
    await scorer.score(of("b"))
    held = [asyncio.create_task(scorer.score(of("a"))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooLate, match=r"would come too late, in 1\.00 s"):
        await scorer.score(of("a", within_s=1.9))
    await asyncio.gather(*held)


@pytest.mark.parametrize(
    ("in_flight", "kept"), [(1, 0), (2, 1), (8, 1), (9, 2), (16, 2), (17, 3)]
)
def test_an_eighth_is_kept_free(in_flight: int, kept: int) -> None:
    assert kept_by_default(in_flight) == kept


async def test_of_a_single_slot_none_can_be_kept_free() -> None:
    scorer = limited(FakeScorer(after(1, reads())), in_flight=1, kept_free=1)
    ended = await gathered(*(scorer.score(of(caller)) for caller in "ab"))
    assert [type(each) for each in ended] == [Scores, Scores]


# Calls that cannot make it


async def known(backend: FakeScorer, *, in_flight: int = 1) -> Limit:
    """Give a limit that knows how long calls take."""
    scorer = limited(backend, in_flight=in_flight)
    await scorer.score(asking("1", query="first"))
    return scorer


async def test_a_call_that_cannot_make_it_is_refused_at_once() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = await known(backend)
    began = now()
    held = [asyncio.create_task(scorer.score(asking("1"))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooLate, match=r"would come too late, in 3\.00 s") as raised:
        await scorer.score(asking("1", within_s=3.9))
    assert now() == began
    assert raised.value.lacks_time
    assert raised.value.reason is FailureReason.OVERLOADED
    await scorer.score(asking("1", within_s=4.1))
    await asyncio.gather(*held)


async def test_more_slots_bring_a_turn_sooner() -> None:
    scorer = await known(FakeScorer(after(1, reads())), in_flight=4)
    held = [asyncio.create_task(scorer.score(asking("1"))) for _ in range(7)]
    await asyncio.sleep(0)
    await scorer.score(asking("1", within_s=2.1))
    await asyncio.gather(*held)


async def test_a_free_slot_is_given_to_anybody() -> None:
    backend = FakeScorer(after(5, reads()), after(1, reads()))
    scorer = await known(backend)
    assert (await scorer.score(asking("1", within_s=2))).raw == (1.0,)


async def test_a_turn_that_comes_too_late_is_left_to_the_next_who_can_use_it() -> None:
    backend = FakeScorer(after(1, reads()), after(3, reads()), after(1, reads()))
    scorer = await known(backend)
    held = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0)
    short = asyncio.create_task(scorer.score(asking("1", query="short", within_s=3.5)))
    long = asyncio.create_task(scorer.score(asking("1", query="long", within_s=9)))
    began = now()
    with pytest.raises(TooLate, match="its turn came too late"):
        await short
    assert now() - began == pytest.approx(2.5)
    await asyncio.gather(held, long)
    assert backend.queries == ["first", "q", "long"]


async def test_turns_that_come_too_late_one_after_the_other_reach_the_last() -> None:
    """While nothing was known, nobody was told to be gone by then."""
    backend = FakeScorer(after(3, reads()))
    scorer = limited(backend)
    calls = [scorer.score(asking("1", within_s=within_s)) for within_s in (9, 4, 5, 9)]
    ended = await gathered(*calls)
    assert [type(each) for each in ended] == [Scores, TooLate, TooLate, Scores]
    assert len(backend.requests) == 2


async def test_quick_refusals_tell_nothing_of_how_long_an_answer_takes() -> None:
    limits = fails(lambda: RateLimited("tei", "HTTP 429"))
    backend = FakeScorer(after(1, reads()), *[limits] * 9, after(1, reads()))
    scorer = await known(backend)
    await gathered(*(scorer.score(asking("1")) for _ in range(9)))
    held = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0)
    with pytest.raises(TooLate):
        await scorer.score(asking("1", within_s=1.9))
    await held
