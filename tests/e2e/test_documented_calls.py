"""What the README and the pages of docs/ show on a console is what comes, run as it is pasted."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.subprocesses import ENVIRONMENT, ROOT, serving
from tests.support.console import Example, matches, section, sessions
from tests.support.grpcurl import grpcurl

pytestmark = pytest.mark.real_time

_SHOWN = (
    ("README.md", "## First call"),
    ("docs/grpcurl.md", "# Call it with grpcurl"),
    ("docs/http.md", "# Over HTTP"),
    ("docs/observability.md", "## Why did this result rank here?"),
    ("docs/search.md", "# Search"),
    ("docs/tei.md", "# As a TEI over gRPC"),
)
# What starts the gateway that is there already, here and in the pages' own words.
_STARTS = re.compile(r"^(\S+=\S+ )*rerank-gateway serve\b")

_GRPC, _HTTP = "localhost:50051", "localhost:8080"
_PATIENCE_S = 60.0
_SCIFACT = ROOT / "benchmarks/relevance/scifact"
_DOCUMENTS = ROOT / "clients/demo/scifact"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the gateway is, and a folder in which all commands of a page run."""

    grpc: str
    http: str
    folder: Path


def _all() -> list[tuple[str, tuple[Example, ...]]]:
    return [
        (page, session)
        for page, heading in _SHOWN
        # The first line of a page has nothing before it.
        for session in sessions(
            section("\n" + (ROOT / page).read_text("utf-8"), heading)
        )
        if not _STARTS.match(session[0].command)
    ]


_SESSIONS = _all()


def _named(page: str, session: tuple[Example, ...]) -> str:
    """Name a session by what it does last."""
    words = session[-1].command.split()
    return f"{page}: {next((each for each in words if '/' in each), words[0])}"


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Serve as `make run` does, with a store of its own."""
    folder = tmp_path_factory.mktemp("shown")
    _put_what_is_used(folder)
    environ = _storing(folder / "served") | {
        # For the page on why a result ranks where it does.
        "RERANK_GATEWAY__SERVER__ALLOW_DEBUG": "true",
    }
    async with serving("--http-address", "127.0.0.1:0", environ=environ) as server:
        line = await server.read_until("the APIs of vendors at ")
        http = line.partition("http://")[2].split("/")[0].strip()
        yield Scene(server.address, http, folder)


def _storing(path: Path) -> dict[str, str]:
    return {
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": str(path),
    }


def _put_what_is_used(folder: Path) -> None:
    """Bring the files that commands name, and the command itself, in a checkout or not."""
    (folder / "corpus.jsonl.gz").symlink_to(_DOCUMENTS / "corpus.jsonl.gz")
    (folder / "queries.jsonl").symlink_to(_DOCUMENTS / "queries.jsonl")
    (folder / "qrels.tsv").symlink_to(_DOCUMENTS / "qrels.tsv")
    for place in (folder / ".venv/bin", folder / "bin"):
        place.mkdir(parents=True)
        command = place / "rerank-gateway"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway "$@"\n')
        command.chmod(0o755)


@pytest.mark.parametrize(
    ("page", "session"), _SESSIONS, ids=[_named(*each) for each in _SESSIONS]
)
async def test_what_a_page_shows_is_what_comes(
    page: str, session: tuple[Example, ...], scene: Scene
) -> None:
    for example in session:
        code, said = await _said(example.command, scene, page)
        if not example.shown:
            assert code == 0, said
            continue
        if "RerankBatch" not in example.command:
            assert matches(example.shown, said), f"{example.command}\n{said}"
            continue
        # The answers come as they are done.
        shown, got = sorted(_whole(example.shown)), sorted(_whole(said))
        assert len(got) == len(shown), said
        for each, expected in zip(got, shown, strict=True):
            assert matches(expected, each), f"{example.command}\n{said}"


async def test_the_python_of_the_readme_runs(scene: Scene) -> None:
    first = section((ROOT / "README.md").read_text("utf-8"), "## First call")
    (code,) = re.findall(r"^```python\n(.*?)^```$", first, re.DOTALL | re.MULTILINE)
    script = scene.folder / "first_call.py"
    script.write_text(code.replace(_GRPC, scene.grpc))
    # By itself: its code and the gateway's are of the same contract.
    path = {"PYTHONPATH": str(ROOT / "clients/python")}
    _, said = await _run(f"{sys.executable} {script}", scene, path)
    assert said.startswith("['To restore a backup"), said


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
        "tei.v1.Rerank/Rerank",
        "evaluate",
        "curl",
        "-max-time",
        "-d @",
    ],
)
def test_the_pages_show(words: str) -> None:
    commands = [example.command for _, session in _SESSIONS for example in session]

    assert any(words in each.split() or f" {words} " in each for each in commands)


async def _said(command: str, scene: Scene, page: str) -> tuple[int | None, str]:
    """Run a command line in a shell, against a gateway elsewhere."""
    said = command.replace(_GRPC, scene.grpc).replace(_HTTP, scene.http)
    # Commands without an address start a gateway, and a page's have one store.
    store = scene.folder / Path(page).stem
    return await _run(said, scene, ENVIRONMENT | _storing(store))


async def _run(
    command: str, scene: Scene, environ: dict[str, str]
) -> tuple[int | None, str]:
    """Give how it ended, and all that it wrote, without what nobody sees."""
    tools = (scene.folder / "bin", grpcurl().parent, os.environ["PATH"])
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", command),
        cwd=scene.folder,
        env={
            **os.environ,
            "COLUMNS": "100",
            **environ,
            "PATH": os.pathsep.join(map(str, tools)),
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
    seen = re.sub(r"[ \r]+$", "", out.decode(), flags=re.MULTILINE)
    return process.returncode, seen


def _whole(output: str) -> list[str]:
    """Take apart what was written one after the other: each JSON object by itself."""
    return re.split(r"(?<=^})\n", output.strip("\n"), flags=re.MULTILINE)
