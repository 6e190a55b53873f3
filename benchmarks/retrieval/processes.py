"""One process that writes and three that read, at once: `python -m benchmarks.retrieval.processes`.

Whatever was acknowledged has to be found: at once by a search that names its version, and by
every search two seconds later.
"""

import asyncio
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.retriever import Document, Query
from gateway.retrieval.shared.retriever import OwnedRetriever

READERS = 3

_ROOT = Path(__file__).parents[2]
_COLLECTION = "shared"
_BATCH = 20
_PAUSE_S = 0.05
_LATE_S = 2.0
_FORWARDED_EVERY = 20
_MARKER = "acknowledged.json"


@dataclass(slots=True)
class Seen:
    """What one process went through."""

    writes: int = 0
    searches: int = 0
    missed_by_version: int = 0
    missed_late: int = 0
    missed_own: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Whether nothing went wrong, and something went on."""
        missed = self.missed_by_version + self.missed_late + self.missed_own
        return not missed and not self.errors and self.writes + self.searches > 0


def run(folder: Path, *, seconds: float) -> list[Seen]:
    """Start all of them, and give what the writer and then each reader saw."""
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.retrieval.processes"),
                *("--role", role, "--folder", str(folder), "--seconds", str(seconds)),
            ],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in ("writer", *(f"reader{number}" for number in range(READERS)))
    ]
    return [Seen(**json.loads(each.communicate()[0])) for each in started]


def main(
    *,
    seconds: Annotated[float, typer.Option(help="How long.")] = 60.0,
    role: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Let one process write and three read for a minute, and tell what they saw."""
    if folder is not None:
        work = _write(folder, seconds) if role == "writer" else _read(role, folder)
        print(json.dumps(asdict(asyncio.run(work))))
        return
    with tempfile.TemporaryDirectory() as place:
        found = run(Path(place) / "store", seconds=seconds)
    for number, each in enumerate(found):
        print("writer" if not number else f"reader {number}", asdict(each))
    if not all(each.is_well for each in found):
        raise typer.Exit(1)


async def _write(folder: Path, seconds: float) -> Seen:
    seen = Seen()
    folder.parent.mkdir(parents=True, exist_ok=True)
    store = _store(folder)
    await store.open()
    try:
        await store.create_collection(_COLLECTION, fields=(), dimension=8, embedder="")
        until = math.inf
        while time.monotonic() < until:
            if (
                until == math.inf
                and len(list(folder.parent.glob("*.ready"))) == READERS
            ):
                until = time.monotonic() + seconds
            start = _BATCH * seen.writes
            batch = [_document(f"w{start + each}") for each in range(_BATCH)]
            version = await store.upsert(_COLLECTION, batch, embedder="")
            seen.writes += 1
            _tell(folder, batch[-1].id, version, until)
            await asyncio.sleep(_PAUSE_S)
    except RetrieverError as error:
        seen.errors.append(repr(error))
    # The readers may be in the middle of a write of theirs.
    await asyncio.sleep(2 * _LATE_S)
    await store.close()
    return seen


async def _read(name: str, folder: Path) -> Seen:
    seen = Seen()
    while not _marker(folder).exists():
        time.sleep(_PAUSE_S)  # noqa: ASYNC251 - there is nothing else to do yet
    store = _store(folder)
    await store.open()
    acknowledged: list[tuple[float, str]] = []
    try:
        (folder.parent / f"{name}.ready").touch()
        until = math.inf
        while time.monotonic() < until:
            word, version, at, until = json.loads(_marker(folder).read_bytes())
            acknowledged.append((at, word))
            seen.missed_by_version += not await _finds(store, word, version)
            seen.searches += 2
            late = time.monotonic() - _LATE_S
            old = [word for at, word in acknowledged if at <= late]
            if old:
                seen.missed_late += not await _finds(store, old[-1], 0)
            if seen.searches % _FORWARDED_EVERY == 0:
                mine = _document(f"{name}m{seen.writes}")
                await store.upsert(_COLLECTION, [mine], embedder="")
                seen.writes += 1
                seen.missed_own += not await _finds(store, mine.id, 0)
    except RetrieverError as error:
        seen.errors.append(repr(error))
    await store.close()
    return seen


async def _finds(store: OwnedRetriever, word: str, version: int) -> bool:
    vector = _document(word).vector
    deadline = asyncio.get_running_loop().time() + _LATE_S
    query = Query(word, vector, "", 10, None, version, deadline)
    found = await store.search(_COLLECTION, query)
    legs = (found.bm25, found.vector)
    for leg in legs:
        if leg is None or leg.failure is not None:
            raise leg.failure if leg and leg.failure else RuntimeError(word)
    hits = [each.id for leg in legs if leg is not None for each in leg.hits]
    brought = await store.vectors(_COLLECTION, [word])
    return hits.count(word) == len(legs) and word in brought


def _document(word: str) -> Document:
    chance = np.random.default_rng(list(word.encode()))
    vector = chance.normal(0, 1, 8).astype(np.float32)
    return Document(word, "", f"the {word} of all", vector)


def _tell(folder: Path, word: str, version: int, until: float) -> None:
    new = _marker(folder).with_suffix(".new")
    # One clock for all processes, at least on Linux and macOS.
    new.write_text(json.dumps([word, version, time.monotonic(), until]))
    new.replace(_marker(folder))


def _marker(folder: Path) -> Path:
    return folder.parent / _MARKER


def _store(folder: Path) -> OwnedRetriever:
    return OwnedRetriever(
        folder,
        engine=partial(
            LanceRetriever,
            folder,
            vector_index_from=2000,
            tidy_every_s=0.25,
            keep_versions_s=600.0,
        ),
        call_s=30.0,
        look_every_s=1.0,
    )


if __name__ == "__main__":
    typer.run(main)
