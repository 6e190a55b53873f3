"""Measure the first stage of a search: `python -m benchmarks.retrieval`."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.retrieval.building import (
    COLLECTION,
    NEVER_S,
    an_engine,
    build,
    tidy,
)
from benchmarks.retrieval.exactness import Exactness, measure_exactness
from benchmarks.retrieval.synthetic import Asked, documents, queries
from gateway.ranking.fusion import Fused, rrf, zscore_fusion
from gateway.retrieval.retriever import Found, Leg, Query, Retriever

_MIB = 2**20
_CANDIDATES = 100
_SHOWN = 10
_WARM_UP = 50
_COMPARED = 50


@dataclass(frozen=True, slots=True)
class Cost:
    """What a query needed; all threads of the process together."""

    cpu_ms: float
    """Median."""
    mean_cpu_ms: float
    wall_ms: float
    """Median, one query at a time."""


def main(
    *,
    documents: Annotated[int, typer.Option(help="How many are searched.")] = 100_000,
    asked: Annotated[int, typer.Option("--queries", help="Measured ones.")] = 200,
    tail: Annotated[int, typer.Option(help="Documents not indexed yet.")] = 2000,
    folder: Annotated[
        Path | None, typer.Option(help="Where it is built, once, and kept.")
    ] = None,
) -> None:
    """Measure CPU time per query, memory, disk, and what an exact search would find."""
    place = folder or Path("build") / "retrieval" / str(documents)
    asyncio.run(_run(place, documents, asked, tail))


async def _run(folder: Path, count: int, asked: int, tail: int) -> None:
    await build(folder, count=count)
    engine = an_engine(folder)
    idle_mib = _memory_mib()
    await engine.open()
    try:
        several = list(queries(count=_WARM_UP + asked, among=count))
        costs = await _measure(engine, several)
        show(f"{count} documents of 384 dimensions", costs)
        found_mib = _memory_mib()
        print(f"memory: {found_mib:.0f} MiB, {idle_mib:.0f} of them before opening")
        print(f"disk: {_size_mib(folder):.0f} MiB")
        exact = await measure_exactness(engine, several[:_COMPARED], count)
        _show_exactness(exact)
        if tail:
            await _measure_tail(engine, several, count, tail)
    finally:
        await engine.close()
    if tail:
        await tidy(folder, vectors=False)


async def _measure_tail(
    engine: Retriever, several: Sequence[Asked], count: int, tail: int
) -> None:
    names = [f"doc-{number}" for number in range(count, count + tail)]
    for start in range(count, count + tail, max(1, tail // 20)):
        size = min(max(1, tail // 20), count + tail - start)
        batch = documents(start=start, count=size)
        await engine.upsert(COLLECTION, batch, embedder="")
    try:
        costs = await _measure(engine, several[: _WARM_UP // 5 + len(several) // 5])
        show(f"and {tail} of which the indexes do not know yet", costs)
    finally:
        await engine.delete(COLLECTION, names)


Measured = Callable[[Asked], Awaitable[object]]


async def _measure(engine: Retriever, several: Sequence[Asked]) -> dict[str, Cost]:
    async def found(asked: Asked, *, words: bool = True, near: bool = True) -> Found:
        return await engine.search(
            COLLECTION,
            Query(
                text=asked.text if words else "",
                vector=asked.vector if near else None,
                embedder="",
                candidates=_CANDIDATES,
                filter=None,
                min_version=0,
                deadline=asyncio.get_running_loop().time() + NEVER_S,
            ),
        )

    async def fused(asked: Asked) -> list[Fused]:
        both = await found(asked)
        legs = [_names(both.bm25), _names(both.vector)]
        return rrf(legs, k=60, weights=(1.0, 1.0), min_rrf_score=None)

    async def with_vectors(asked: Asked) -> object:
        return await engine.vectors(
            COLLECTION, [each.id for each in await fused(asked)]
        )

    async def with_texts(asked: Asked) -> object:
        best = [each.id for each in (await fused(asked))[:_SHOWN]]
        return await engine.get(COLLECTION, best, with_vectors=False)

    async def with_scores(asked: Asked) -> object:
        both = await found(asked)
        words, near = _scores(both.bm25), _scores(both.vector)
        alone = sorted(words.keys() ^ near.keys())
        looked = await engine.scores(
            COLLECTION, alone, text=asked.text, vector=asked.vector
        )
        words |= {name: each.bm25 for name, each in looked.items()}
        near |= {name: each.cosine for name, each in looked.items()}
        return zscore_fusion([words, near], weights=(1.0, 1.0))

    async def in_full_text(asked: Asked) -> object:
        return await found(asked, near=False)

    async def by_vector(asked: Asked) -> object:
        return await found(asked, words=False)

    ways: dict[str, Measured] = {
        "full text": in_full_text,
        "vector": by_vector,
        "both, and RRF": fused,
        "both, RRF, and the vectors of all": with_vectors,
        f"both, RRF, and the texts of {_SHOWN}": with_texts,
        "both, scores of the others, z-score fusion": with_scores,
    }
    return {name: await _cost(way, several) for name, way in ways.items()}


async def _cost(way: Measured, several: Sequence[Asked]) -> Cost:
    cpu, wall = [], []
    for place, asked in enumerate(several):
        # Of the process, so of the threads of the engine too.
        used, began = time.process_time(), time.perf_counter()
        await way(asked)
        if place >= min(_WARM_UP, len(several) // 5):
            cpu.append(1e3 * (time.process_time() - used))
            wall.append(1e3 * (time.perf_counter() - began))
    return Cost(statistics.median(cpu), statistics.mean(cpu), statistics.median(wall))


def _names(leg: Leg | None) -> list[str]:
    if leg is None or leg.failure is not None:
        message = "a leg was not searched"
        raise RuntimeError(message)
    return [each.id for each in leg.hits]


def _scores(leg: Leg | None) -> dict[str, float | None]:
    return {} if leg is None else {each.id: each.score for each in leg.hits}


def show(title: str, costs: dict[str, Cost]) -> None:
    table = Table(title=title)
    table.add_column("per query")
    for name in ("CPU ms, median", "mean", "wall ms, median"):
        table.add_column(name, justify="right")
    for name, each in costs.items():
        figures = (each.cpu_ms, each.mean_cpu_ms, each.wall_ms)
        table.add_row(name, *(f"{figure:.1f}" for figure in figures))
    Console().print(table)


def _show_exactness(exact: Exactness) -> None:
    print(
        f"the {_CANDIDATES} best of {_COMPARED} queries, also found by an exact search: "
        f"{exact.words:.3f} by words (bm25s), {exact.vectors:.3f} by vector"
    )


def _memory_mib() -> float:
    return float(psutil.Process().memory_info().rss) / _MIB


def _size_mib(folder: Path) -> float:
    files = [each for each in folder.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files) / _MIB


if __name__ == "__main__":
    typer.run(main)
