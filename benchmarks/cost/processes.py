"""Start what is measured as processes of their own, and read what they cost."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]

_START_S = 120.0
_LOOK_S = 0.002
_SHOWN = 2000
_OURS = ("RERANK_GATEWAY", "OTEL_")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens."""

    address: str
    process: psutil.Process
    said: str = ""
    """What it wrote until it listened."""
    started_in_s: float = 0.0

    def cpu_s(self) -> float:
        """Give the CPU time of it and its children, of the system's accounting."""
        return sum(self.cpu_by_process().values())

    def cpu_by_process(self) -> dict[int, float]:
        """Give the CPU time of each of its processes by its number."""
        found = {}
        for each in self._processes():
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            found[each.pid] = float(times.user + times.system)
        return found

    def memory_mib(self) -> float:
        """Give its resident memory: of its largest process, where it has several."""
        sizes = [float(each.memory_info().rss) / 2**20 for each in self._processes()]
        return max(sizes)

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def free_port() -> int:
    """Find a port for those who cannot find one themselves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def running(
    *module: str, environ: Mapping[str, str] | None = None, root: Path = ROOT
) -> AbstractContextManager[Running]:
    """Run `python -m …` until the block ends, once it says where it listens.

    Args:
        module: What, and its arguments.
        environ: Added to the environment.
        root: The tree whose code it is.

    """
    command = [sys.executable, "-m", *module]
    return running_command(command, environ=environ, root=root)


@contextmanager
def running_command(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    ready: str = r"listening on (\S+),",
    root: Path = ROOT,
) -> Iterator[Running]:
    """Run a command until the block ends, once it writes what says that it listens."""
    # Into a file: to read along would take from the CPUs that are measured.
    with tempfile.NamedTemporaryFile("w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(environ or {}, root),
        )
        try:
            until = began + _START_S
            while not (listening := re.search(ready, Path(log.name).read_text())):
                if process.poll() is not None or time.perf_counter() > until:
                    said = Path(log.name).read_text()[-_SHOWN:]
                    message = f"{' '.join(command)} did not start: {said}"
                    raise RuntimeError(message)
                time.sleep(_LOOK_S)
            yield Running(
                address=listening[1] if listening.groups() else "",
                process=psutil.Process(process.pid),
                said=Path(log.name).read_text(),
                started_in_s=time.perf_counter() - began,
            )
        finally:
            process.terminate()
            process.communicate()


def _environment(more: Mapping[str, str], root: Path) -> dict[str, str]:
    """Give ours without settings of a gateway: nobody else's configuration is measured."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_OURS)
    }
    path = os.pathsep.join([str(root), str(root / "protos")])
    return {**inherited, "PYTHONPATH": path, **more}
