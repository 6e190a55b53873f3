"""Run several things at once and leave nothing behind."""

import asyncio

import pytest

from gateway.concurrency import all_of, ended, in_the_background, together
from tests.support.scorers import now


async def giving(value: int, after_s: float) -> int:
    await asyncio.sleep(after_s)
    return value


async def failing(error: BaseException, after_s: float) -> int:
    await asyncio.sleep(after_s)
    raise error


class Noting:
    """Waits for ever and notes that it was ended."""

    def __init__(self) -> None:
        self.ended = False

    async def wait(self) -> int:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.5)  # tidying up takes its time
            self.ended = True
        return 0


async def test_results_come_in_the_order_of_the_question() -> None:
    began = now()
    assert await all_of(giving(1, 0.3), giving(2, 0.1), giving(3, 0.2)) == [1, 2, 3]
    assert now() - began == pytest.approx(0.3)


async def test_nothing_gives_nothing() -> None:
    assert await all_of() == []


async def test_the_plain_error_leaves_and_never_a_group() -> None:
    error = ValueError("lost")
    with pytest.raises(ValueError, match="lost") as raised:
        await all_of(giving(1, 1), failing(error, 0.1))
    assert raised.value is error
    assert raised.value.__cause__ is None


async def test_the_others_are_cancelled_and_awaited_before_the_error_leaves() -> None:
    other = Noting()
    with pytest.raises(ValueError, match="lost"):
        await all_of(other.wait(), failing(ValueError("lost"), 0.1))
    assert other.ended


async def test_the_first_of_several_errors_leaves() -> None:
    with pytest.raises(ValueError, match="first"):
        await all_of(
            failing(KeyError("second"), 0.2),
            failing(ValueError("first"), 0.1),
        )


async def test_a_group_inside_is_opened_too() -> None:
    inner = ExceptionGroup("inner", [ValueError("lost")])
    with pytest.raises(ValueError, match="lost"):
        await all_of(failing(inner, 0.1))


async def test_cancellation_reaches_all_and_leaves_as_what_it_is() -> None:
    first, second = Noting(), Noting()
    running = asyncio.create_task(all_of(first.wait(), second.wait()))
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert first.ended
    assert second.ended


# Ending


async def test_what_is_ended_has_ended() -> None:
    first, second = Noting(), Noting()
    tasks = [asyncio.create_task(each.wait()) for each in (first, second)]
    await asyncio.sleep(1)
    await ended(*tasks)
    assert first.ended
    assert second.ended


async def test_what_has_ended_already_is_left_as_it_is() -> None:
    given = asyncio.create_task(giving(1, 0.1))
    failed = asyncio.create_task(failing(ValueError("lost"), 0.1))
    await asyncio.sleep(1)
    await ended(given, failed)
    assert given.result() == 1
    assert isinstance(failed.exception(), ValueError)


async def test_nothing_to_end_ends_at_once() -> None:
    await ended()


async def test_who_is_cancelled_while_ending_still_waits_for_the_end() -> None:
    noting = Noting()
    task = asyncio.create_task(noting.wait())
    ending = asyncio.create_task(ended(task))
    await asyncio.sleep(0.1)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert noting.ended


# In the background


async def endless(noting: Noting) -> None:
    await noting.wait()


async def test_what_runs_beside_a_block_ends_with_it() -> None:
    beside = Noting()
    async with in_the_background(endless(beside)):
        await asyncio.sleep(10)
        assert not beside.ended
    assert beside.ended


async def test_what_runs_beside_a_block_ends_with_it_also_when_the_block_fails() -> (
    None
):
    beside = Noting()

    async def block() -> None:
        async with in_the_background(endless(beside)):
            await failing(ValueError("lost"), 1)

    with pytest.raises(ValueError, match="lost"):
        await block()
    assert beside.ended


async def test_what_runs_beside_a_block_ends_with_it_also_when_it_is_cancelled() -> (
    None
):
    beside = Noting()

    async def block() -> None:
        async with in_the_background(endless(beside)):
            await asyncio.sleep(3600)

    running = asyncio.create_task(block())
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert beside.ended


async def test_a_bug_in_what_runs_beside_a_block_comes_to_light() -> None:
    async def stumbles() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with in_the_background(stumbles()):
            await asyncio.sleep(1)


async def test_who_fails_ends_the_block_and_all_beside_it() -> None:
    error, other = ValueError("lost"), Noting()

    async def all_three() -> None:
        async with together() as group:
            group.create_task(other.wait())
            group.create_task(failing(error, 0.1))
            await asyncio.sleep(3600)

    with pytest.raises(ValueError, match="lost") as raised:
        await all_three()
    assert raised.value is error
    assert other.ended


async def test_the_block_waits_for_all_beside_it() -> None:
    async with together() as group:
        task = group.create_task(giving(7, 0.5))
    assert task.result() == 7


async def test_who_is_cancelled_leaves_nothing_beside_it() -> None:
    other = Noting()

    async def both() -> None:
        async with together() as group:
            group.create_task(other.wait())
            await asyncio.sleep(3600)

    task = asyncio.create_task(both())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert other.ended
