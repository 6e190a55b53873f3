"""Build the collection that is measured, or take the one that is there."""

import shutil
import time
from pathlib import Path

from rich.progress import track

from benchmarks.retrieval.synthetic import DIMENSION, documents
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.lance.folder import prepare
from gateway.retrieval.lance.shelf import Shelf

COLLECTION = "synthetic"
NEVER_S = 1e6

_BATCH = 1000


def an_engine(folder: Path) -> LanceRetriever:
    """Make one that keeps no house, so that it costs nothing of its own."""
    return LanceRetriever(
        folder,
        writes=True,
        vector_index_from=5000,
        tidy_every_s=NEVER_S,
        keep_versions_s=600.0,
    )


async def build(folder: Path, *, count: int) -> None:
    """Make the collection with its indexes, unless it is there."""
    if (folder / "store.json").exists():
        engine = an_engine(folder)
        await engine.open()
        try:
            held = await engine.collections()
        finally:
            await engine.close()
        if [(each.name, each.document_count) for each in held] == [(COLLECTION, count)]:
            return
        message = f"{folder}: holds another collection; name another --folder"
        raise SystemExit(message)
    began, used = time.perf_counter(), time.process_time()
    try:
        await _fill(folder, count)
        await tidy(folder, vectors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - used
    print(f"built in {wall_s:.0f} s, {cpu_s:.0f} s of CPU")


async def tidy(folder: Path, *, vectors: bool) -> None:
    """Bring the indexes up to date, as the housekeeping does."""
    lease = prepare(folder)
    shelf = await Shelf.open(folder, behind_s=None)
    try:
        table = await shelf.table(COLLECTION)
        await table.tidy(keep_versions_s=600.0)
        if vectors:
            await table.make_vector_index()
    finally:
        shelf.close()
        lease.give_back()


async def _fill(folder: Path, count: int) -> None:
    engine = an_engine(folder)
    await engine.open()
    try:
        await engine.create_collection(
            COLLECTION, fields=(), dimension=DIMENSION, embedder=""
        )
        for start in track(range(0, count, _BATCH), description="building"):
            batch = documents(start=start, count=min(_BATCH, count - start))
            await engine.upsert(COLLECTION, batch, embedder="")
    finally:
        await engine.close()
