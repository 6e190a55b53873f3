"""How late the event loop comes to what is due: how busy this process is."""

import asyncio

_EVERY_S = 0.1


class LoopLag:
    """Sets itself an alarm again and again, and looks how late it rings."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._last_s = 0.0

    async def watch(self) -> None:
        """Look until cancelled; a loop that is not watched has no lag."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._due = loop.time() + _EVERY_S
                await asyncio.sleep(_EVERY_S)
                self._last_s = max(loop.time() - self._due, 0.0)
        finally:
            self._due, self._last_s = None, 0.0

    def seconds(self, now: float) -> float:
        """Tell how late the loop is now.

        Args:
            now: In event-loop seconds. Whoever asks may have been woken before the
                alarm, which is late already.

        """
        if self._due is None:
            return 0.0
        return max(self._last_s, now - self._due)
