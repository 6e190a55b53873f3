"""How long the slower calls to a backend take, lately."""

from random import Random

import pytest

from gateway.layers.latency import Latency


def moving(*durations_s: float, last: int = 100, enough: int = 20) -> Latency:
    latency = Latency(quantile=0.95, last=last, enough=enough)
    for duration_s in durations_s:
        latency.observe(duration_s)
    return latency


def test_a_few_calls_say_nothing() -> None:
    assert moving().slow_s() is None
    assert moving(*[1.0] * 19).slow_s() is None
    assert moving(*[1.0] * 20).slow_s() == 1.0


def test_one_call_in_twenty_takes_longer() -> None:
    hundred = [number / 100 for number in range(100)]
    Random(1).shuffle(hundred)
    slow_s = moving(*hundred).slow_s()
    assert slow_s == 0.95
    assert sum(duration_s > slow_s for duration_s in hundred) == 4


def test_a_few_that_are_far_off_do_not_move_it() -> None:
    assert moving(*[0.05] * 97, *[2.0] * 3).slow_s() == 0.05


def test_many_that_are_slow_do() -> None:
    assert moving(*[0.05] * 90, *[2.0] * 10).slow_s() == 2.0


def test_what_was_is_forgotten() -> None:
    assert moving(*[9.0] * 100, *[0.05] * 100).slow_s() == 0.05


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_quantile_of_the_last_calls(seed: int) -> None:
    chance = Random(seed)
    latency = moving(last=30, enough=1)
    given: list[float] = []
    for _ in range(200):
        given.append(chance.choice([0.1, 0.2, 0.3, chance.random()]))
        latency.observe(given[-1])
        lately = sorted(given[-30:])
        place = min(int(0.95 * len(lately)), len(lately) - 1)
        assert latency.slow_s() == lately[place]
