"""A full disk is told as what it is, and nothing acknowledged is lost by it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retrieval.contract import ask, ids
from tests.retrieval.test_lance import opened

pytestmark = pytest.mark.real_time

_ROOT = Path(__file__).parents[2]

# Batches that get larger, so that a limit on one file is reached as well as one on all.
_WRITER = """
import asyncio, json, random, resource, signal, sys
from pathlib import Path
from gateway.retrieval.errors import (RetrieverError)
from tests.retrieval.test_lance import ask, document, make_books, opened

def batch(number, size):
    chance = random.Random(number)
    words = (" ".join(f"{chance.randrange(10**9)}" for _ in range(100)) for _ in range(size))
    return [document(f"a{number}x{n}", f"x {text}") for n, text in enumerate(words)]

async def write(folder, most_bytes):
    async with opened(folder) as engine:
        await make_books(engine)
        if most_bytes:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        stored, failure = 0, None
        for number in range(16):
            documents = batch(number, 2**number)
            try:
                await engine.upsert("books", documents, embedder="")
            except RetrieverError as error:
                failure = error
                break
            stored += len(documents)
        found = await ask(engine, "x", to="a", candidates=3)
        answered = [len(found.bm25.hits), len(found.vector.hits)]
        print(json.dumps([stored, type(failure).__name__, answered]))

asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """Mount one; None: this user may not."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)  # noqa: S603 - ours
    except FileNotFoundError:
        yield None
        return
    if done.returncode:
        yield None
        return
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)  # noqa: S603, S607 - ours


async def test_a_full_disk_loses_nothing(
    small_disk: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if small_disk is None:
        await _fill(tmp_path_factory.mktemp("limited"), most_bytes=2**20)
    else:
        await _fill(small_disk / "store", most_bytes=0)


async def test_a_file_that_gets_too_large_loses_nothing(tmp_path: Path) -> None:
    await _fill(tmp_path / "store", most_bytes=2**20)


async def _fill(folder: Path, *, most_bytes: int) -> None:
    writer = subprocess.run(  # noqa: ASYNC221, S603 - our own code, and nothing else to do
        [sys.executable, "-c", _WRITER, str(folder), str(most_bytes)],
        cwd=_ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    stored, failure, answered = json.loads(writer.stdout)
    assert failure == "StoreFull"
    assert stored > 0
    assert answered == [3, 3]
    async with opened(folder) as engine:
        assert (await engine.collection("books")).document_count == stored
        found = await ask(engine, "x", to="a", candidates=3)
        assert len(ids(found.bm25)) == len(ids(found.vector)) == 3
        await engine.delete("books", ["a0x0"])
        assert (await engine.collection("books")).document_count == stored - 1
