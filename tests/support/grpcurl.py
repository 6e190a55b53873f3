"""The real grpcurl, wherever Go or the user has put it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_VERSION = "v1.9.4"


def grpcurl() -> Path:
    """Find it; where there is none, its test is skipped, but never in CI."""
    found = shutil.which("grpcurl") or shutil.which("grpcurl", path=_go_binaries())
    if found:
        return Path(found)
    message = (
        f"no grpcurl: go install github.com/fullstorydev/grpcurl/cmd/grpcurl@{_VERSION}"
    )
    if not os.environ.get("CI"):
        pytest.skip(message)
    # Never skipped there: what nobody runs, nobody knows to work.
    raise FileNotFoundError(message)


def _go_binaries() -> str:
    go = shutil.which("go")
    if not go:
        return ""
    told = subprocess.run(  # noqa: S603 - the user's own Go
        [go, "env", "GOPATH"], check=True, capture_output=True, text=True
    )
    return str(Path(told.stdout.strip(), "bin"))
