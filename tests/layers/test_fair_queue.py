"""Who is next, of calls that wait for one backend."""

import pytest

from gateway.layers.fair_queue import FairQueue


def queue(*calls: str, most: int = 8) -> FairQueue[str]:
    """Let calls wait that are named for their caller, such as `a1`."""
    made: FairQueue[str] = FairQueue(most=most)
    for call in calls:
        assert made.push(call[0], call).waits
    return made


def order(waiting: FairQueue[str]) -> list[str]:
    """Let one after the other run and end."""
    turns = []
    while waiting:
        call = waiting.pop()
        waiting.begin(call[0])
        waiting.end(call[0])
        turns.append(call)
    return turns


def test_callers_take_turns_and_each_keeps_his_order() -> None:
    waiting = queue("a1", "a2", "a3", "b1", "b2", "c1")
    assert order(waiting) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_has_fewer_calls_running_is_next() -> None:
    waiting = queue("a1", "a2", "b1")
    for _ in range(2):
        waiting.begin("a")
    assert waiting.running == waiting.running_of("a") == 2
    assert (waiting.next, waiting.running_of("b")) == ("b", 0)
    assert order(waiting) == ["b1", "a1", "a2"]


def test_a_call_knows_how_many_come_before_it() -> None:
    waiting = queue("a1", "a2", "a3", "b1")
    assert {each: waiting.ahead_of(each) for each in "abc"} == {"a": 4, "b": 3, "c": 2}


def test_a_full_queue_refuses_a_caller_who_has_as_much_as_any() -> None:
    waiting = queue("a1", "a2", "b1", "b2", most=4)
    for caller in "ab":
        pushed = waiting.push(caller, f"{caller}9")
        assert not pushed.waits
        assert pushed.displaced is None
    assert len(waiting) == 4


def test_a_newcomer_takes_the_place_of_the_greediest_callers_newest_call() -> None:
    waiting = queue("a1", "a2", "b1", "a3", most=4)
    pushed = waiting.push("c", "c1")
    assert pushed.waits
    assert pushed.displaced == "a3"
    assert order(waiting) == ["a1", "b1", "c1", "a2"]


def test_nobody_takes_a_place_only_to_be_as_greedy_himself() -> None:
    waiting = queue("a1", "a2", "b1", most=3)
    assert not waiting.push("b", "b2").waits
    assert waiting.push("c", "c1").displaced == "a2"
    assert not waiting.push("d", "d1").waits


@pytest.mark.parametrize("most", [0, 1])
def test_the_only_place_is_nobodys_share(most: int) -> None:
    waiting = queue(*["a1"][:most], most=most)
    assert not waiting.push("b", "b1").waits


def test_who_leaves_is_forgotten() -> None:
    waiting = queue("a1", "b1")
    waiting.discard("a", "a1")
    waiting.discard("a", "a1")
    waiting.discard("z", "z1")
    assert len(waiting) == 1
    assert order(waiting) == ["b1"]


def test_no_end_of_callers_leaves_nothing_behind() -> None:
    waiting = queue()
    for number in range(100):
        caller = f"caller {number}"
        waiting.push(caller, caller)
        waiting.begin(caller)
        waiting.discard(caller, waiting.pop())
        waiting.end(caller)
    assert not waiting._last_turn
    assert not waiting._running
