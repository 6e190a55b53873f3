"""Who was here lately."""

import pytest

from gateway.layers.recent import Recent


def seen(*names: str, at_s: float = 1000.0, most: int = 4) -> Recent:
    """Have some names seen one second after the other."""
    recent = Recent(for_s=60.0, most=most)
    for second, name in enumerate(names):
        recent.see(name, at_s + second)
    return recent


def test_each_name_counts_once() -> None:
    assert seen("a", "b", "a").count(1003.0) == 2


@pytest.mark.parametrize(
    ("last_s", "count"), [(0, 1), (59, 1), (60, 1), (119, 1), (120, 0), (9999, 0)]
)
def test_who_was_here_is_known_for_a_minute_and_for_two_at_most(
    last_s: float, count: int
) -> None:
    assert seen("a").count(1000.0 + last_s) == count


@pytest.mark.parametrize("every_s", [1, 7, 59, 60])
def test_who_comes_once_a_minute_is_never_forgotten(every_s: int) -> None:
    recent = Recent(for_s=60.0, most=4)
    for now in range(0, 1000, every_s):
        recent.see("a", now)
        assert recent.count(now + every_s - 0.5) == 1


def test_no_end_of_names_is_as_many_as_matter() -> None:
    recent = seen(*map(str, range(50)), most=4)
    assert recent.count(1049.0) == 4
    assert len(recent._young) == 4
