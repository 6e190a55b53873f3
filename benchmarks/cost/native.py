"""The loader and the canned backend: built by Go where it is, otherwise played in Python."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.cost.processes import ROOT

BUILT = ROOT / "build" / "bench"

NOTE = (
    "Go is not here, so a client and a backend in Python took their places: they need "
    "about as much CPU as what is measured, so that throughput and latencies say more "
    "about them than about the gateway. CPU times per request are sound."
)

_SOURCE = ROOT / "benchmarks" / "native"
_USUAL = "/usr/local/go/bin/go"


@cache
def go() -> str:
    """Find Go; empty where there is none."""
    usual = _USUAL if Path(_USUAL).exists() else ""
    return os.environ.get("GO") or shutil.which("go") or usual


@cache
def is_built() -> bool:
    """Build both, once, and tell whether that worked."""
    if not go():
        return False
    BUILT.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [go(), "build", "-o", f"{BUILT}/", "./..."], cwd=_SOURCE, check=False
    )
    if done.returncode:
        print("the loader could not be built: going on in Python")
    return not done.returncode


def go_version() -> str:
    """Say which one it is."""
    if not is_built():
        return "none"
    done = subprocess.run(
        [go(), "env", "GOVERSION"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def loader() -> list[str]:
    """Give the command that loads."""
    if is_built():
        return [str(BUILT / "loader")]
    return [sys.executable, "-m", "benchmarks.cost.client"]


def backend() -> list[str]:
    """Give the command that answers in the place of a reranker."""
    if is_built():
        return [str(BUILT / "backend")]
    return [sys.executable, "-m", "benchmarks.cost.backend"]
