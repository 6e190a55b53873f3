"""Who gives way where several share what is bounded, and one of them brings more."""

from collections.abc import Mapping


def part_of_each(most: int, held: Mapping[str, int], *, bringing: str) -> int:
    """Give an even part, of those who hold something and of whoever brings something."""
    return most // len({*held, bringing})


def gives_way(
    held: Mapping[str, int], *, bringing: str, more: int, most: int
) -> tuple[str, int]:
    """Tell who has to give something up, and how much more than its part that one holds.

    Whoever holds more than an even part, with what it brings, gives way to itself; otherwise
    whoever holds the most gives way. So who holds no more than its part loses nothing to
    others, however much they bring.

    Args:
        held: How much each holds; not empty, and nobody in it who holds nothing.
        bringing: Who brings something.
        more: How much of it.
        most: How much there is room for.

    """
    part = part_of_each(most, held, bringing=bringing)
    if bringing in held and (excess := held[bringing] + more - part) > 0:
        return bringing, excess
    loser = max(held, key=held.__getitem__)
    return loser, held[loser] - part
