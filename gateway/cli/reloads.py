"""What makes `serve` read its configuration again: SIGHUP, and a file that was replaced."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

from gateway.cli.configuration import or_every_problem
from gateway.concurrency import in_the_background
from gateway.reloading.reload import Put, Reloading, Tell
from gateway.reloading.watching import Stamps, changes, stamps
from gateway.settings import Settings, files


class Source:
    """Where the configuration of this command comes from, each time.

    Args:
        path: The file, if the user names one.
        read: Reads it.

    """

    def __init__(self, path: Path | None, read: Callable[[], Settings]) -> None:
        self.path = path
        self.read = read
        self.stamps: Stamps = {}
        """Of the files, as they were when it was read first."""

    def first(self) -> Settings:
        """Read it, or end the command with every problem, one a line."""
        # Looked at before it is read: what is replaced meanwhile is seen later.
        before = stamps(files(self.path))
        settings = or_every_problem(self.read)
        self.stamps = {**stamps(files(self.path, settings)), **before}
        return settings


def ignore_until_it_serves() -> None:
    """Let SIGHUP not end this process, as it does where nobody says anything else."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@asynccontextmanager
async def reloads(
    source: Source, began: Settings, serving: Settings, *, put: Put, tell: Tell
) -> AsyncIterator[Reloading]:
    """Reload while the block runs.

    Args:
        source: Where the configuration comes from.
        began: What it gave at the start.
        serving: The same, with the addresses that were taken.
        put: Puts another one in place.
        tell: Told how each reload ended.

    """
    reloading = Reloading(
        load=source.read, began=began, serving=serving, put=put, tell=tell
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reloading.ask, "SIGHUP")
    try:
        async with AsyncExitStack() as running:
            await running.enter_async_context(in_the_background(reloading.run()))
            if every_s := serving.server.watch_s:
                watching = _watch(source, reloading, every_s)
                await running.enter_async_context(in_the_background(watching))
            yield reloading
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        ignore_until_it_serves()


async def _watch(source: Source, reloading: Reloading, every_s: float) -> None:
    def watched() -> frozenset[Path]:
        # What was wanted and could not be had, such as a key, may come later.
        return files(source.path, reloading.settings, reloading.wanted)

    async with aclosing(changes(watched, source.stamps, every_s=every_s)) as replaced:
        async for _ in replaced:
            reloading.ask("a file was replaced")
