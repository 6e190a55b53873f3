"""Measure the built-in scorer: `python -m benchmarks.relevance [folder …]`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.relevance.collection import Collection, read
from benchmarks.relevance.reranking import rerank_all, with_gateway
from benchmarks.relevance.retrieval import bm25_first
from gateway.compose import gateway
from gateway.evaluation.judging import Comparison, compare
from gateway.evaluation.measuring import MRR, NDCG
from gateway.logs import EventLog
from gateway.settings import load
from rerank.v1.rerank_service_pb2_grpc import RerankServiceStub

HERE = Path(__file__).parent
SHIPPED = [HERE / "scifact", HERE / "boolq", HERE / "xquad_en"]


def main(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Collections, as BEIR lays them out; without any, those beside this."
        ),
    ] = None,
    *,
    found: Annotated[int, typer.Option(help="Documents per query from BM25.")] = 100,
    first: Annotated[int, typer.Option(help="How many of them to rerank.")] = 20,
) -> None:
    """Rerank BM25's order of each collection and say whether it got better."""
    for folder in folders or SHIPPED:
        collection = read(folder)
        received = bm25_first(collection, count=found)
        reranked = asyncio.run(_reranked(collection, received, first=first))
        comparisons = compare((NDCG, MRR), collection.judgements, received, reranked)
        title = (
            f"{folder.resolve().name}: {len(collection.queries)} queries, "
            f"first {first} of BM25's {found} reranked"
        )
        Console(width=100).print(_table(title, comparisons))


async def _reranked(
    collection: Collection, received: dict[str, list[str]], *, first: int
) -> dict[str, list[str]]:
    settings = load(
        address="127.0.0.1:0", environ={"RERANK_GATEWAY__RETRIEVAL__ENGINE": "none"}
    )
    async with (
        gateway(settings, EventLog()) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        rerank = with_gateway(RerankServiceStub(channel), first=first)
        return await rerank_all(collection, received, rerank)


def _table(title: str, comparisons: Sequence[Comparison]) -> Table:
    table = Table(
        "", "BM25", "reranked", "difference", "95 % interval", "", title=title
    )
    for each in comparisons:
        table.add_row(
            each.measure,
            f"{each.before:.3f}",
            f"{each.after:.3f}",
            f"{each.difference:+.3f}",
            f"{each.low:+.3f} to {each.high:+.3f}",
            each.verdict,
        )
    return table


if __name__ == "__main__":
    typer.run(main)
