"""Run the product as a command, as a user does."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")]),
    # Most tests are about Rerank, and none may touch the user's collections.
    "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
    # However many cores the machine has.
    "RERANK_GATEWAY__SERVER__WORKERS": "1",
}

# A loaded machine may need seconds to start Python; a test never waits this long.
_PATIENCE_S = 60.0

_LISTENING = re.compile(r"listening on (\S+:\d+),")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left."""

    code: int | None
    out: str
    err: str


async def _start(
    arguments: tuple[str, ...],
    environ: Mapping[str, str],
    *,
    inside: tuple[str, ...] = (),
) -> asyncio.subprocess.Process:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RERANK_GATEWAY")
    }
    return await asyncio.create_subprocess_exec(
        *(*inside, sys.executable, "-m", "gateway", *arguments),
        cwd=ROOT,
        # Wide, so that no table is cut.
        env={**inherited, **ENVIRONMENT, "COLUMNS": "200", **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def command(
    *arguments: str, environ: Mapping[str, str] | None = None, stdin: str = ""
) -> Finished:
    """Run a command to its end."""
    process = await _start(arguments, environ or {})
    async with asyncio.timeout(_PATIENCE_S):
        out, err = await process.communicate(stdin.encode())
    return Finished(process.returncode, out.decode(), err.decode())


class Serving:
    """A `serve` that listens."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.address = address
        self.pid = process.pid
        self._process = process

    async def read_until(self, words: str) -> str:
        """Wait for a line of its log."""
        return await _line_with(self._process, words)

    async def stop(self, signal: int) -> Finished:
        self._process.send_signal(signal)
        return await self.ended()

    def send_signal(self, signal: int) -> None:
        self._process.send_signal(signal)

    async def ended(self) -> Finished:
        async with asyncio.timeout(_PATIENCE_S):
            out, err = await self._process.communicate()
        return Finished(self._process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def serving(
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    inside: tuple[str, ...] = (),
) -> AsyncIterator[Serving]:
    """Run `serve` on a free port until the block ends.

    Args:
        arguments: Further ones of its command line.
        environ: Further variables.
        inside: What is put before the command, to run it elsewhere.

    """
    process = await _start(
        ("serve", "--address", "127.0.0.1:0", *arguments),
        environ or {},
        inside=inside,
    )
    try:
        line = await _line_with(process, "listening on ")
        found = _LISTENING.search(line)
        assert found, line
        yield Serving(process, found[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line_with(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stderr
    said = ""
    async with asyncio.timeout(_PATIENCE_S):
        while words not in (line := (await process.stderr.readline()).decode()):
            assert line, f"it ended without saying {words!r}: {said}"
            said += line
    return line
