"""Files that are replaced, written to, gone, or there at last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.concurrency import in_the_background
from gateway.reloading.watching import changes, stamps

pytestmark = pytest.mark.real_time

_EVERY_S = 0.01
_PATIENCE_S = 20.0


class Watcher:
    """Counts changes."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.count = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        told = stamps(self.paths)
        async for _ in changes(lambda: self.paths, told, every_s=_EVERY_S):
            self.count += 1
            self._changed.set()

    async def one_more(self) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await self._changed.wait()
        self._changed.clear()

    async def looks(self) -> None:
        """Let it look several times."""
        await asyncio.sleep(10 * _EVERY_S)


@asynccontextmanager
async def _watching(*paths: Path) -> AsyncIterator[Watcher]:
    watcher = Watcher(*paths)
    async with in_the_background(watcher.run()):
        await watcher.looks()
        yield watcher


async def test_each_replacement_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    async with _watching(file) as watcher:
        assert watcher.count == 0
        beside = tmp_path / "beside"
        beside.write_text("two")  # as long as the first
        beside.rename(file)
        await watcher.one_more()
        await watcher.looks()
        assert watcher.count == 1


async def test_what_goes_and_what_comes_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    async with _watching(file) as watcher:
        file.write_text("there")
        await watcher.one_more()
        file.unlink()
        await watcher.one_more()


async def test_a_file_that_is_written_to_is_told_when_it_rests(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    async with _watching(file) as watcher:
        for length in range(1, 30):
            file.write_text("." * length)
            await asyncio.sleep(_EVERY_S / 2)
        assert watcher.count <= 1
        await watcher.one_more()
        assert file.stat().st_size == 29


async def test_a_file_that_is_watched_from_now_on_counts_as_it_is(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    second.write_text("2")
    async with _watching(first) as watcher:
        watcher.paths = (first, second)
        await watcher.looks()
        assert watcher.count == 0
        second.write_text("another")
        await watcher.one_more()
