"""What was found, and where it was searched, as tables for people."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.tables import moved, what_happened
from rerank.v1 import (
    collection_pb2,
    execution_pb2,
    ranking_pb2,
    search_service_pb2,
)

_SHOWN_CHARACTERS = 72


def show_search(out: Console, response: search_service_pb2.SearchResponse) -> None:
    """Show what was found, where it stood before, and what happened.

    Answers with explanations have columns for what each leg said: the rank in it and
    its score.
    """
    explained = any(result.HasField("explanation") for result in response.results)
    legs = ("fused", "vector", "BM25", "MMR") if explained else ()
    rows: list[tuple[str | Text, ...]] = [
        (
            str(result.rank),
            moved(result),
            f"{result.score:.3f}" if result.HasField("score") else "-",
            *(_explained(result) if explained else ()),
        )
        for result in response.results
    ]
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for place, name in enumerate(("rank", "before", "score", *legs)):
        # Where there is little room, words are cut and numbers are not.
        widest = max((cell_len(str(row[place])) for row in rows), default=0)
        table.add_column(
            name, justify="right", no_wrap=True, min_width=max(widest, len(name))
        )
    # With explanations there is room for it only where it differs.
    methods = {result.search_method for result in response.results}
    with_method = not explained or methods != {response.search_method}
    if with_method:
        table.add_column("search_method", no_wrap=True, overflow="ellipsis")
    table.add_column("id", no_wrap=True, max_width=24, overflow="ellipsis")
    # It gets what room the others leave.
    table.add_column("document", no_wrap=True, overflow="ellipsis", ratio=1)
    for result, numbers in zip(response.results, rows, strict=True):
        words = " ".join((result.document.title or result.document.text).split())
        table.add_row(
            *numbers,
            *((result.search_method,) if with_method else ()),
            Text(result.id),
            Text(words[:_SHOWN_CHARACTERS]),
        )
    out.print(table)
    out.print()
    if not response.results:
        out.print("nothing found")
    for line in (*what_happened(response), *_what_degraded(response)):
        out.print(line, soft_wrap=True, markup=False)


def show_collections(
    out: Console, collections: Sequence[collection_pb2.Collection]
) -> None:
    """Show every collection and what it holds."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("collection", no_wrap=True)
    for name in ("documents", "dimension", "version"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("created", no_wrap=True)
    table.add_column("fields", overflow="fold", ratio=1)
    for each in collections:
        table.add_row(
            each.name,
            str(each.document_count),
            str(each.embedding_dimension) if each.embedding_dimension else "-",
            str(each.version),
            f"{each.create_time.ToDatetime():%Y-%m-%d %H:%M:%S}Z",
            ", ".join(in_words(field) for field in each.fields) or "-",
        )
    out.print(table)


def in_words(field: collection_pb2.CollectionField) -> str:
    """Write a field as the command line takes it: `year:int64`."""
    kind = collection_pb2.FieldType.Name(field.type).removeprefix("FIELD_TYPE_")
    return f"{field.name}:{kind.lower()}"


def _explained(result: ranking_pb2.RankedDocument) -> tuple[str, ...]:
    why = result.explanation
    mmr = "-"
    if why.HasField("mmr_relevance"):
        mmr = f"{why.mmr_relevance:.2f}-{why.mmr_penalty:.2f}"
    vector = f" {why.vector_score:.3f}" if why.HasField("vector_score") else ""
    bm25 = f" {why.bm25_score:.2f}" if why.HasField("bm25_score") else ""
    return (
        f"{result.retrieval_score:.4f}" if result.HasField("retrieval_score") else "-",
        f"#{why.vector_rank or '-'}{vector}",
        f"#{why.bm25_rank or '-'}{bm25}",
        mmr,
    )


def _what_degraded(response: search_service_pb2.SearchResponse) -> list[str]:
    """Say which stages before reranking did less than was asked of them."""
    lines = []
    for stage in response.execution.stages:
        degraded = stage.outcome in (
            execution_pb2.STAGE_OUTCOME_DEGRADED,
            execution_pb2.STAGE_OUTCOME_FAILED,
        )
        # Reranking has a line of its own.
        if degraded and stage.name != "rerank":
            outcome = execution_pb2.StageOutcome.Name(stage.outcome)
            outcome = outcome.removeprefix("STAGE_OUTCOME_").lower()
            lines.append(f"{stage.name} {outcome}: {stage.detail or 'no reason given'}")
    return lines
