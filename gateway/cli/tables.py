"""Answers as tables for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    execution_pb2,
    ranking_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

_SHOWN_CHARACTERS = 72


def show_rerank(
    out: Console,
    request: rerank_service_pb2.RerankRequest,
    response: rerank_service_pb2.RerankResponse,
) -> None:
    """Show where every document stood and stands, and what happened."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("rank", "before", "score"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("search_method", no_wrap=True)
    # It gets what room the others leave.
    table.add_column("document", no_wrap=True, overflow="ellipsis", ratio=1)
    for result in response.results:
        document = request.documents[result.index]
        words = " ".join((document.title or document.text).split())
        table.add_row(
            str(result.rank),
            moved(result),
            f"{result.rerank_score:.3f}" if result.HasField("rerank_score") else "-",
            result.search_method,
            Text(words[:_SHOWN_CHARACTERS]),
        )
    out.print(table)
    out.print()
    for line in what_happened(response):
        out.print(line, soft_wrap=True)


def show_backends(
    out: Console,
    backends: Sequence[
        tuple[backend_pb2.Backend, backend_service_pb2.CheckBackendResponse]
    ],
) -> None:
    """Show every backend, and what a probe of it found just now."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("backend", "dialect", "scale", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("model", overflow="fold", ratio=1)
    for backend, found in backends:
        state = backend_pb2.BackendState.Name(found.state)
        state = state.removeprefix("BACKEND_STATE_")
        scale = backend_pb2.ScoreScale.Name(backend.scale)
        scale = scale.removeprefix("SCORE_SCALE_").lower()
        table.add_row(
            backend.name,
            backend.dialect,
            "-" if scale == "unspecified" else scale,
            Text(state, style="green" if found.available else "red"),
            f"{found.round_trip.ToTimedelta().total_seconds():.2f} s",
            found.model or backend.model or "-",
        )
    out.print(table)
    for _, found in backends:
        if not found.available:
            out.print(found.message, soft_wrap=True)


def what_happened(
    response: rerank_service_pb2.RerankResponse | search_service_pb2.SearchResponse,
) -> list[str]:
    """Say in a few lines how an answer came about."""
    execution = response.execution
    outcome = execution_pb2.Outcome.Name(execution.outcome).removeprefix("OUTCOME_")
    lines = [f"{outcome}: {response.message}"]
    if execution.backend:
        model = f" ({execution.model})" if execution.model else ""
        lines.append(
            f"scored {execution.scored_count} of "
            f"{execution.scored_count + len(execution.unscored_indexes)} documents"
            f" with {execution.backend}{model}"
            f" in {execution.duration.ToTimedelta().total_seconds():.2f} s"
        )
    if execution.truncated_indexes:
        lines.append(
            f"read only in part, for their length: {len(execution.truncated_indexes)}"
        )
    return lines


def moved(result: ranking_pb2.RankedDocument) -> Text:
    """Say where a document stood, and how far it went."""
    by = result.original_rank - result.rank
    arrow = (f" ↑{by}", "green") if by > 0 else (f" ↓{-by}", "red") if by else ""
    return Text.assemble(str(result.original_rank), arrow)
