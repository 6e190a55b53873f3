"""The gateway as a process of its own, and what the system says it holds (Linux only)."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_START_S = 60.0
_END_S = 30.0

HAS_PROC = Path("/proc/self/status").exists()
"""Whether this system tells what a process holds."""

# Small, so that they are full before anything is measured.
SMALL = {
    "RERANK_GATEWAY__CACHE__MAX_BYTES": "500000",
    "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
}
ROUTES = {
    "RERANK_GATEWAY__ROUTES__DEFAULT__BACKENDS": '["replicated", "last"]',
    "RERANK_GATEWAY__ROUTES__PART__BACKENDS": '["replicated", "last"]',
    "RERANK_GATEWAY__ROUTES__PART__ON_DEADLINE": "partial",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds at one moment."""

    memory_kib: int
    """Resident."""
    sockets: int
    files: int
    """Open ones that are no sockets."""
    threads: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that listens."""

    address: str
    pid: int
    log: str
    """Path of the file with its lines."""

    def said(self) -> str:
        """Give its lines so far."""
        return _said(self.log)

    def sample(self) -> Sample:
        """Look at what it holds."""
        proc = Path("/proc") / str(self.pid)
        status = (proc / "status").read_text()
        kinds = [_target(each) for each in (proc / "fd").iterdir()]
        sockets = sum(kind.startswith("socket:") for kind in kinds)
        return Sample(
            memory_kib=_number("VmRSS", status),
            sockets=sockets,
            files=len([kind for kind in kinds if kind]) - sockets,
            threads=_number("Threads", status),
        )


@asynccontextmanager
async def serving(
    environ: Mapping[str, str], *arguments: str
) -> AsyncIterator[Gateway]:
    """Run `rerank-gateway serve` until the block ends, and see that it ends well.

    Args:
        environ: Its settings.
        arguments: Further ones of its command line.

    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RERANK_GATEWAY")
    }
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "protos")])
    # Into a file: nobody reads along, and a full pipe would stop it.
    with tempfile.NamedTemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "gateway",
                "serve",
                "--workers",
                "1",
                "--address",
                "127.0.0.1:0",
                *arguments,
            ),
            cwd=_ROOT,
            env={**inherited, "PYTHONPATH": path, **SMALL, **environ},
            stdout=log,
            stderr=log,
        )
        try:
            address = await _address(log.name)
            yield Gateway(address, process.pid, log.name)
            process.terminate()
            async with asyncio.timeout(_END_S):
                code = await process.wait()
            if code:
                message = f"it ended with {code}: {_said(log.name)[-2000:]}"
                raise RuntimeError(message)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _address(log: str) -> str:
    async with asyncio.timeout(_START_S):
        while True:
            if found := re.search(r"listening on (\S+:\d+),", _said(log)):
                return found[1]
            await asyncio.sleep(0.1)


def _said(log: str) -> str:
    return Path(log).read_text()


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def _number(name: str, status: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0
