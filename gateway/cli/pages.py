"""Go through all pages of an answer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar


class Request(Protocol):
    """A request for one page."""

    page_token: str


class Page(Protocol):
    """One page."""

    next_page_token: str


RequestT = TypeVar("RequestT", bound=Request)
PageT = TypeVar("PageT", bound=Page)


async def pages(
    ask: Callable[[RequestT], Awaitable[PageT]], request: RequestT
) -> AsyncIterator[PageT]:
    """Ask for one page after the other.

    Args:
        ask: Brings one.
        request: For the first; its token is that of the last page asked for afterwards.

    Raises:
        grpc.RpcError: As the gateway answers.

    """
    while True:
        page = await ask(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
