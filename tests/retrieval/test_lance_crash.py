"""What was acknowledged is there, however the process ended: it is killed, for real."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.retrieval.contract import ask, ids
from tests.retrieval.test_lance import opened

pytestmark = pytest.mark.real_time

_WRITER = """
import asyncio, sys
from pathlib import Path
from tests.retrieval.test_lance import document, make_books, opened

async def write(folder):
    async with opened(folder, tidy_every_s=0.01, vector_index_from=300) as engine:
        if not await engine.collections():
            await make_books(engine)
        n = (await engine.collection("books")).document_count
        print("ready", flush=True)
        while True:
            batch = [document(f"a{n + k}", f"x w{n + k}") for k in range(50)]
            await engine.upsert("books", batch, embedder="model-a")
            n += 50
            print(n, flush=True)

asyncio.run(write(Path(sys.argv[1])))
"""
_ROOT = Path(__file__).parents[2]


async def test_no_acknowledged_document_is_lost_when_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    stored = 0
    for _ in range(4):
        acknowledged = _write_and_be_killed(tmp_path, after_s=chance.uniform(0.05, 0.8))
        stored = max(stored, acknowledged)
        async with opened(tmp_path) as engine:
            found = await engine.collection("books")
            # The batch under way is there as a whole or not at all.
            assert found.document_count in (stored, stored + 50)
            names = [f"a{number}" for number in range(found.document_count)]
            back = await engine.get("books", names, with_vectors=True)
            assert [each.id for each in back] == names
            if stored:
                assert ids((await ask(engine, f"w{stored - 1}")).bm25) == [
                    names[stored - 1]
                ]
                assert len(ids((await ask(engine, to="a")).vector)) == 10
            stored = found.document_count
    assert stored > 100


def _write_and_be_killed(folder: Path, *, after_s: float) -> int:
    writer = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", _WRITER, str(folder)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == "ready\n"
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        # The last line may be cut: then nobody can have read it.
        lines = writer.stdout.read().splitlines(keepends=True)
    whole = [int(each) for each in lines if each.endswith("\n")]
    return whole[-1] if whole else 0
