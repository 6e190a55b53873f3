"""An event loop on which waiting costs nothing."""

import asyncio
import selectors
from typing import Any


class NobodyWillWakeUsError(RuntimeError):
    """Every task waits, and no timer is left that could wake one of them."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer whenever nothing else is ready.

    Threads are invisible to it: a test that waits for one needs the real clock.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.SelectSelector):
    """Asks what is ready, and instead of waiting moves the clock of its loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            message = "deadlock: every task waits, and no timer is set"
            raise NobodyWillWakeUsError(message)
        self._loop.jump(timeout)
        return []
