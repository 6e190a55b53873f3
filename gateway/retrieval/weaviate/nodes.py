"""Which node of the cluster is asked, and who is asked when it fails.

A process asks one node, by chance at first, and another one when that fails; there it
stays. So what it has written it finds again, and a node that comes back, and has not yet
learned what it missed, is not asked by those that saw it go.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from gateway.backends.transport import Reply, Transport
from gateway.retrieval.errors import EngineFailed
from gateway.retrieval.weaviate.connecting import Node
from gateway.retrieval.weaviate.failing import Unreachable, told

T = TypeVar("T")

# Each may be asked a second time; where there is one, that may restart.
_LEAST_TRIES = 3
_PAUSE_S = 0.1
_MOST_BYTES = 16 * 2**20


class Nodes:
    """Asks one after the other, so long as there is time.

    Every call may be made again, since each leaves what its first run has left.

    Args:
        nodes: At least one; closed with this.
        transport: For REST; closed with this.
        key: Shown with every call; empty: none is.

    """

    def __init__(
        self, nodes: Sequence[Node], transport: Transport, *, key: str
    ) -> None:
        self._nodes = nodes
        self._transport = transport
        self._shown = {"authorization": f"Bearer {key}"} if key else {}
        # Not for secrets: gateways that start together spread.
        self._at = random.randrange(len(nodes))  # noqa: S311 - see above

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call of gRPC; may hold the key."""
        return tuple(self._shown.items())

    async def close(self) -> None:
        """End the connections."""
        await self._transport.aclose()
        for each in self._nodes:
            await each.close()

    async def rest(
        self, node: Node, method: str, path: str, *, body: bytes = b"", read: bool
    ) -> Reply:
        """Ask a node over REST.

        Args:
            node: This one.
            method: Such as GET.
            path: Below the node's url.
            body: JSON; empty: none.
            read: Whether the node may answer for itself, without asking the leader.

        """
        headers = {**self._shown, "consistency": str(not read).lower()}
        if body:
            headers["content-type"] = "application/json"
        return await self._transport.send(
            method,
            f"{node.rest}{path}",
            headers=headers,
            body=body,
            max_answer_bytes=_MOST_BYTES,
        )

    async def ask(
        self,
        what: str,
        limit_s: float,
        call: Callable[[Node], Awaitable[T]],
        *,
        elsewhere: bool = True,
    ) -> T:
        """Ask until one answers.

        Args:
            what: What is asked about, for messages.
            limit_s: After it nobody is waited for any more.
            call: Asks a node; cancelled when its time is over.
            elsewhere: Whether another node may know better than one that says no.

        """
        now = asyncio.get_running_loop().time
        until = now() + limit_s
        failure: EngineFailed | None = None
        for place, left in self._turns():
            # One that says nothing leaves time for another one.
            has_s = (until - now()) / (2 if left and len(self._nodes) > 1 else 1)
            if has_s <= 0:
                break
            try:
                found = await _in_time(what, has_s, call, self._nodes[place])
            except EngineFailed as error:
                if not isinstance(error, Unreachable) and (failure or not elsewhere):
                    raise  # two say so, or nobody knows better
                failure = error
            else:
                self._stay(place, failure)
                return found
            await asyncio.sleep(max(0.0, min(self._pause_s(left), until - now())))
        if failure is not None and now() < until:
            raise failure
        message = f"{what}: the engine did not answer in {limit_s:g} s"
        raise Unreachable(message) from failure

    def _turns(self) -> Iterator[tuple[int, int]]:
        """Say who is asked, one after the other, and how many times more."""
        first, count = self._at, len(self._nodes)
        tries = max(_LEAST_TRIES, 2 * count)
        for turn in range(tries):
            yield (first + turn) % count, tries - turn - 1

    def _pause_s(self, left: int) -> float:
        """Give all of them a moment when each has been asked."""
        return _PAUSE_S if left and left % len(self._nodes) == 0 else 0.0

    def _stay(self, place: int, failure: EngineFailed | None) -> None:
        """Ask this one from now on, if the one before was away.

        One that refuses something is left for this alone.
        """
        if isinstance(failure, Unreachable):
            self._at = place


async def _in_time(
    what: str, limit_s: float, call: Callable[[Node], Awaitable[T]], node: Node
) -> T:
    try:
        async with asyncio.timeout(limit_s):
            with told(what):
                return await call(node)
    except TimeoutError as error:
        message = f"{what}: the engine did not answer in {limit_s:g} s"
        raise Unreachable(message) from error
