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

# It imports nothing of the tests, whose libraries take as long to load as it may live.
_WRITER = """
import asyncio, sys
from pathlib import Path
import numpy as np
import gateway.retrieval.lance.shelf
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.retriever import (Document)

def document(number):
    vector = np.full(4, 0.1, np.float32)
    return Document(f"a{number}", "", f"x w{number}", vector)

async def write(folder):
    engine = LanceRetriever(
        folder, writes=True, vector_index_from=300, tidy_every_s=0.01, keep_versions_s=600
    )
    await engine.open()
    if not await engine.collections():
        await engine.create_collection(
            "books", fields=(), dimension=4, embedder="model-a"
        )
    n = (await engine.collection("books")).document_count
    print("ready", flush=True)
    while True:
        batch = [document(n + k) for k in range(50)]
        await engine.upsert("books", batch, embedder="model-a")
        n += 50
        print(n, flush=True)

print("loaded", flush=True)
sys.stdin.readline()
asyncio.run(write(Path(sys.argv[1])))
"""
_ROOT = Path(__file__).parents[2]


_KILLS = 20


async def test_no_acknowledged_document_is_lost_when_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    stored = 0
    following = _writer(tmp_path)
    try:
        for _ in range(_KILLS):
            # It takes seconds to load the engine, so one is always loading already.
            writer, following = following, _writer(tmp_path)
            acknowledged = _write_and_be_killed(
                writer, after_s=chance.uniform(0.02, 0.4)
            )
            stored = max(stored, acknowledged)
            async with opened(tmp_path) as engine:
                found = await engine.collection("books")
                # The batch under way is there as a whole or not at all.
                assert found.document_count in (stored, stored + 50)
                names = [f"a{number}" for number in range(found.document_count)]
                back = await engine.vectors("books", names)
                assert back.keys() == set(names)
                if stored:
                    some = names[stored - 1]
                    assert ids((await ask(engine, f"w{stored - 1}")).bm25) == [some]
                    assert len(ids((await ask(engine, to="a")).vector)) == 10
                    (whole,) = await engine.get("books", [some], with_vectors=True)
                    assert whole.text == f"x w{stored - 1}"
                stored = found.document_count
    finally:
        _kill(following)
    assert stored > 50 * _KILLS


def _writer(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", _WRITER, str(folder)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _write_and_be_killed(writer: "subprocess.Popen[str]", *, after_s: float) -> int:
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == "loaded\n"
    writer.stdin.write("go\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == "ready\n"
    time.sleep(after_s)
    # The last line may be cut: then nobody can have read it.
    lines = _kill(writer).splitlines(keepends=True)
    whole = [int(each) for each in lines if each.endswith("\n")]
    return whole[-1] if whole else 0


def _kill(writer: "subprocess.Popen[str]") -> str:
    writer.send_signal(signal.SIGKILL)
    return writer.communicate()[0]
