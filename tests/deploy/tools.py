"""Tools that `deploy/checks/tools` brings, for tests."""

import os
import shutil
from pathlib import Path

import pytest

from tests.deploy.places import ROOT


def tool(name: str) -> str:
    """Find a tool, or skip the test that wants it.

    Args:
        name: As `deploy/checks/tools` knows it.

    """
    brought = ROOT / "build" / "tools" / "bin" / name
    found = str(brought) if brought.exists() else shutil.which(name)
    if found and Path(found).exists():
        return found
    message = f"no {name}: deploy/checks/tools {name}"
    if not os.environ.get("CI"):
        pytest.skip(message)
    # Never skipped there: what nobody runs, nobody knows to work.
    raise FileNotFoundError(message)
