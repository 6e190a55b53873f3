"""Start what is measured as processes of their own, and read what they cost."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import psutil


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens."""

    address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Give the CPU time that it has used, of the operating system's accounting."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mib(self) -> float:
        """Give its resident memory."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def running(
    *module: str, environ: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run `python -m …` until the block ends, once it says where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    try:
        for line in process.stdout or ():
            if listening := re.search(r"listening on (\S+),", line):
                # Somebody has to read on, or the server waits with its lines.
                Thread(target=_read_on, args=(process,), daemon=True).start()
                yield Running(listening[1], psutil.Process(process.pid))
                break
        else:
            message = f"{' '.join(module)} did not start"
            raise RuntimeError(message)
    finally:
        process.terminate()
        process.wait()


def _read_on(process: subprocess.Popen[str]) -> None:
    for _ in process.stdout or ():
        pass
