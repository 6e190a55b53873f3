"""What it was measured on."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.cost.native import go_version
from benchmarks.cost.processes import ROOT

_PACKAGES = ("grpcio", "protobuf", "uvloop", "aiohttp", "orjson")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, the versions, and how busy it was with other things."""

    date: str
    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: dict[str, str]
    load: float
    """Processes that wanted to run, before any of ours did."""

    @classmethod
    def this(cls) -> "Machine":
        """Look at this one."""
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            memory_gib=pages / 2**30,
            system=f"{platform.system()} {platform.release()}",
            versions={
                "rerank-gateway": f"{version('rerank-gateway')} ({_commit()})",
                "Python": platform.python_version(),
                **{name: version(name) for name in _PACKAGES},
                "Go": go_version(),
            },
            load=os.getloadavg()[0],
        )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git is there
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "no git"
