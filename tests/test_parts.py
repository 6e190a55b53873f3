"""Who gives way where several share what is bounded."""

import pytest

from gateway.parts import gives_way, part_of_each


@pytest.mark.parametrize(
    ("held", "more", "loser", "excess"),
    [
        ({"a": 100}, 1, "a", 1),
        ({"a": 60, "b": 40}, 10, "a", 20),
        ({"a": 40, "b": 60}, 10, "b", 10),
        ({"a": 40, "b": 60}, 11, "a", 1),
        ({"b": 100}, 10, "b", 50),
        ({"b": 20, "c": 80}, 50, "c", 47),
    ],
)
def test_whoever_has_too_much_gives_way_and_first_who_brings_more(
    held: dict[str, int], more: int, loser: str, excess: int
) -> None:
    assert gives_way(held, bringing="a", more=more, most=100) == (loser, excess)


def test_a_part_is_of_those_who_hold_something_and_of_who_brings_something() -> None:
    assert part_of_each(100, {}, bringing="a") == 100
    assert part_of_each(100, {"a": 1, "b": 1}, bringing="a") == 50
    assert part_of_each(100, {"a": 1, "b": 1}, bringing="c") == 33
