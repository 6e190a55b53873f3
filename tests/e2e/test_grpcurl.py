"""What the README shows with grpcurl is what comes, run as it is pasted."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.subprocesses import ROOT, serving
from tests.support.console import Example, matches, section, sessions
from tests.support.grpcurl import grpcurl

pytestmark = pytest.mark.real_time

_README = (ROOT / "README.md").read_text("utf-8")
_SESSIONS = sessions(section(_README, "### With grpcurl"))
_ADDRESS = "localhost:50051"
_PATIENCE_S = 60.0


def _method(session: tuple[Example, ...]) -> str:
    """Name a session by what it does last."""
    words = session[-1].command.split()
    return next((each for each in words if "/" in each), words[-1])


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Serve as `make run` does, with a store of its own."""
    environ = {
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": str(tmp_path_factory.mktemp("store")),
    }
    async with serving(environ=environ) as server:
        yield server.address


@pytest.mark.parametrize(
    "session",
    _SESSIONS,
    ids=[_method(each) for each in _SESSIONS],
)
async def test_what_the_readme_shows_is_what_comes(
    session: tuple[Example, ...], address: str, tmp_path: Path
) -> None:
    for example in session:
        said = await _said(example.command, address, tmp_path)

        shown = _whole(example.shown)
        got = _whole(said)
        # The answers to a batch come as they are done.
        if "RerankBatch" in example.command:
            shown.sort()
            got.sort()
        assert len(got) == len(shown), said
        for each, expected in zip(got, shown, strict=True):
            assert matches(expected, each), f"{example.command}\n{said}"


@pytest.mark.parametrize(
    "words",
    [
        "list",
        "describe",
        "grpc.health.v1.Health/Check",
        "rerank.v1.BackendService/ListBackends",
        "rerank.v1.DocumentService/ImportDocuments",
        "rerank.v1.RerankService/Rerank",
        "rerank.v1.RerankService/RerankBatch",
        "rerank.v1.SearchService/Search",
        "-max-time",
        "-d @",
    ],
)
def test_the_readme_shows(words: str) -> None:
    commands = [example.command for session in _SESSIONS for example in session]

    assert any(words in each.split() or f" {words} " in each for each in commands)


async def _said(command: str, address: str, folder: Path) -> str:
    """Run a command line in a shell, against a gateway elsewhere."""
    assert _ADDRESS in command
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", command.replace(_ADDRESS, address)),
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{grpcurl().parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return out.decode()


def _whole(output: str) -> list[str]:
    """Take apart what was written one after the other: each JSON object by itself."""
    return re.split(r"(?<=^})\n", output.strip("\n"), flags=re.MULTILINE)
