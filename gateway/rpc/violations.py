"""Collect every mistake in a request, and tell all of them at once."""

from collections.abc import Iterator, Sequence

from gateway.errors import InvalidRequest, Violation


class Violations:
    """What is wrong with one request."""

    def __init__(self) -> None:
        self._found: list[Violation] = []

    def add(self, field: str, description: str) -> None:
        """Note one mistake.

        Args:
            field: Its path, such as `documents[3].text`.
            description: What is wrong and what the limit is; never quotes a text.

        """
        self._found.append(Violation(field, description))

    @property
    def found(self) -> tuple[Violation, ...]:
        """Give all of them."""
        return tuple(self._found)

    def check(self) -> None:
        """Raise `InvalidRequest` with all of them, if there are any."""
        if self._found:
            raise InvalidRequest(tuple(self._found))


def at_most(limit: int, violations: Sequence[Violation]) -> Iterator[Violation]:
    """Give the first of them, as many as have so many characters, and how many more."""
    size = 0
    for place, violation in enumerate(violations):
        size += len(violation.field) + len(violation.description) + 8
        if size > limit:
            left = len(violations) - place - 1
            yield Violation(violation.field, f"and {left} more violations")
            return
        yield violation


def bytes_over(limit: int, *texts: str) -> bool:
    """Tell whether texts have more than so many bytes of UTF-8 together."""
    characters = sum(map(len, texts))
    # A character has at most four bytes, so most texts need not be encoded to tell.
    if characters * 4 <= limit:
        return False
    return characters > limit or sum(len(text.encode()) for text in texts) > limit
