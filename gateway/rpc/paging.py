"""Give long lists by pages: a page begins after a name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.rpc.violations import Violations

_LARGEST_PAGE = 1000

T = TypeVar("T")


class _Paged(Protocol):
    """A request for a page."""

    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    size: int
    after: str
    """The name that it begins after. Empty: it is the first."""

    def cut(
        self, listed: Sequence[T], *, name: Callable[[T], str]
    ) -> tuple[Sequence[T], str]:
        """Cut the page out, and give the token of the next one; empty: it is the last.

        Args:
            listed: All there is, by name ascending.
            name: Names one of them.

        """
        rest = [each for each in listed if name(each) > self.after]
        part = rest[: self.size]
        # Names are no secret, and a page may begin after any of them.
        return part, page_token(name(part[-1]) if len(rest) > len(part) else "")


def page_token(after: str) -> str:
    """Write what the next page is asked for with.

    Args:
        after: The name that it begins after. Empty: there is none.

    """
    return f"after:{after}" if after else ""


def read_page(request: _Paged, *, default_size: int) -> Page:
    """Read which page is asked for.

    Raises:
        InvalidRequest: The size is negative, or the token is none of ours.

    """
    wrong = Violations()
    if request.page_size < 0:
        wrong.add("page_size", "must not be negative")
    prefix, colon, after = request.page_token.partition(":")
    if request.page_token and not (prefix == "after" and colon and after):
        wrong.add("page_token", "is none that this server gave")
    wrong.check()
    return Page(min(request.page_size or default_size, _LARGEST_PAGE), after)
