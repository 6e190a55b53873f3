"""Let a gateway search and rerank, well and in trouble, and show the traces of it.

Three programs run until Ctrl-C: Phoenix, which shows traces in a browser; a gateway that
sends its traces there, configured by the standard OTEL_* variables alone; and, in this
process, a reranker that can be made to fail. The table says of an answer what the answer
says of itself; the search_method of each answer and of each of its results is compared
with what its trace says.
"""

import argparse
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clients.demo.demo import COLLECTION, read_claims, store
from clients.trace_demo import environment
from clients.trace_demo.phoenix import Phoenix, a_phoenix
from clients.trace_demo.played import Fault, PlayedReranker, a_played_reranker
from clients.trace_demo.processes import Running, running
from rerank.v1 import (
    document_pb2,
    document_service_pb2_grpc,
    execution_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

PROJECT = "rerank-gateway"
WIDTH = 120
CALL_S = 30.0
START_S = 60.0
ARRIVAL_S = 60.0

CONFIGURATION = """\
# The first backend is played by the demo; the second one is the built-in model.
[routes.default]
backends = ["tei", "local"]

[routes.only_tei]
backends = ["tei"]

[backends.tei]
dialect = "tei"
url = "{url}"
timeout_s = 0.8

[backends.local]
dialect = "local"

[retrieval]
path = "{path}"
"""

Answer = search_service_pb2.SearchResponse | rerank_service_pb2.RerankResponse


@dataclass(frozen=True, slots=True)
class Done:
    """A call, and what came of it."""

    what: str
    answer: Answer

    @property
    def reranked(self) -> str:
        """How many of the results a backend scored."""
        results = self.answer.results
        count = sum(result.HasField("rerank_score") for result in results)
        return f"{count} of {len(results)}"

    @property
    def search_methods(self) -> list[str]:
        """Which stages placed each result."""
        return [result.search_method for result in self.answer.results]

    @property
    def by(self) -> str:
        """Whose scores they are."""
        execution = self.answer.execution
        return f"{execution.backend}{', cached' * bool(execution.cached_count)}"

    @property
    def failed(self) -> str:
        """Who gave no scores, and why."""
        return ", ".join(
            dict.fromkeys(
                f"{attempt.backend}: {_reason(attempt.failure_reason)}"
                for attempt in self.answer.execution.attempts
                if attempt.failure_reason
            )
        )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is listening."""

    address: str
    program: Running


def main() -> None:
    """Start everything, call, show, and wait."""
    parser = argparse.ArgumentParser(prog="make trace-demo", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="end when all traces have arrived"
    )
    parser.add_argument(
        "--texts",
        action="store_true",
        help="let the traces quote queries and documents",
    )
    options = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    out = Console(highlight=False, soft_wrap=True)
    out.width = WIDTH
    try:
        with tempfile.TemporaryDirectory(prefix="rerank-gateway-traces-") as folder:
            show(out, Path(folder), once=options.once, texts=options.texts)
    except KeyboardInterrupt:
        out.print("stopped")


def show(out: Console, folder: Path, *, once: bool, texts: bool) -> None:
    """Make the calls, and end at once or when the user says so."""
    with (
        a_phoenix(folder) as phoenix,
        a_played_reranker() as reranker,
        a_gateway(folder, reranker.url, phoenix.url, texts=texts) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        out.print(f"gateway on {gateway.address}, its traces go to Phoenix")
        count = store(document_service_pb2_grpc.DocumentServiceStub(channel))
        out.print(f"{count} abstracts stored")
        done = list(calls(channel, reranker))
        out.print(f"{len(done)} calls made; waiting for their traces\n")
        traces = arrived(phoenix, gateway, done)
        pages = [phoenix.trace_page(trace_id) for trace_id in traces]
        out.print(table(done, traces, pages))
        out.print("\nEach trace tells what its answer told, result by result.")
        out.print(f"all traces:     {phoenix.project_page(PROJECT)}")
        out.print(f"the first one:  {pages[0]}")
        if not once:
            out.print("\nCtrl-C stops everything.")
            threading.Event().wait()


@contextmanager
def a_gateway(
    folder: Path, reranker_url: str, phoenix_url: str, *, texts: bool
) -> Iterator[Gateway]:
    """Run `rerank-gateway serve` on a free port."""
    configuration = folder / "gateway.toml"
    path = (folder / "collections").as_posix()
    configuration.write_text(CONFIGURATION.format(url=reranker_url, path=path), "utf-8")
    command = [
        sys.executable,
        "-m",
        "gateway",
        "serve",
        "--workers",
        "1",
        "--address",
        "127.0.0.1:0",
    ]
    command += ["--config", str(configuration)]
    environ = environment.without("RERANK_GATEWAY", "OTEL_") | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": phoenix_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        # Phoenix takes traces only.
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "OTEL_SERVICE_NAME": "rerank-gateway",
        "OTEL_RESOURCE_ATTRIBUTES": f"openinference.project.name={PROJECT}",
    }
    if texts:
        environ["RERANK_GATEWAY_CAPTURE_CONTENT"] = "SPAN_ONLY"
    log = folder / "gateway.log"
    with running("The gateway", command, environ=environ, log=log) as program:

        def listening() -> re.Match[str] | None:
            return re.search(r"listening on (\S+),", program.said())

        program.until(lambda: listening() is not None, patience_s=START_S)
        if found := listening():
            yield Gateway(found[1], program)


def calls(channel: grpc.Channel, reranker: PlayedReranker) -> Iterator[Done]:
    """Search and rerank, one call after the other."""
    searching = search_service_pb2_grpc.SearchServiceStub(channel)
    reranking = rerank_service_pb2_grpc.RerankServiceStub(channel)
    claims = [claim.text for claim in read_claims()]

    def search(
        what: str,
        claim: int,
        rerank: search_service_pb2.RerankOptions | None = None,
        mmr: search_service_pb2.MmrOptions | None = None,
    ) -> Done:
        request = search_service_pb2.SearchRequest(
            query=claims[claim], collection=COLLECTION, rerank=rerank, mmr=mmr
        )
        return Done(what, searching.Search(request, timeout=CALL_S))

    options = search_service_pb2.RerankOptions
    yield search("a search, reranked", 6)
    yield search("the same search again", 6)
    yield search(
        "diverse, then reranked",
        1,
        mmr=search_service_pb2.MmrOptions(enabled=True),
    )
    yield search("only five reranked", 2, options(top_k=5))
    yield search("not to be reranked", 3, options(enabled=False))
    request = rerank_service_pb2.RerankRequest(
        query="how do I restore a backup?",
        documents=[
            document_pb2.Document(id=name, text=text)
            for name, text in (
                ("soup", "The cafeteria serves vegetable soup on Mondays."),
                ("disk", "Replace a failed disk before the array is rebuilt."),
                ("restore", "How to restore a backup: stop the database first."),
            )
        ],
        search_method="vector",
    )
    for what in ("the caller's own list", "the same list again"):
        yield Done(what, reranking.Rerank(request, timeout=CALL_S))
    reranker.fault = Fault.SLOW
    yield search("first backend slow", 4)
    reranker.fault = Fault.DOWN
    yield search("only backend down", 5, options(route="only_tei"))
    reranker.fault = Fault.NONE


def arrived(phoenix: Phoenix, gateway: Gateway, done: list[Done]) -> list[str]:
    """Wait for the traces of these calls, and give their ids."""
    roots: list[dict[str, Any]] = []

    def all_there() -> bool:
        roots[:] = [
            span
            for span in phoenix.spans(PROJECT)
            if span["parent_id"] is None
            and span["name"].endswith(("SearchService/Search", "RerankService/Rerank"))
        ]
        return len(roots) >= len(done)

    late = "had not sent all traces"
    gateway.program.until(all_there, patience_s=ARRIVAL_S, late=late)
    for each, root in zip(done, roots, strict=True):
        told = root["attributes"]
        for said, name in (
            (each.answer.search_method, "search_method"),
            (each.search_methods, "result.search_methods"),
        ):
            traced = told.get(f"rerank_gateway.{name}")
            if traced != said:
                sys.exit(f"{each.what}: the answer says {said}, its trace {traced}")
    return [str(root["context"]["trace_id"]) for root in roots]


def table(done: list[Done], traces: list[str], pages: list[str]) -> Table:
    """Say of each call what its answer says; terminals may follow the ids as links."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "search_method", "reranked", "by", "failed", "trace"):
        shown.add_column(name, no_wrap=True)
    for each, trace_id, page in zip(done, traces, pages, strict=True):
        shown.add_row(
            each.what,
            each.answer.search_method,
            each.reranked,
            each.by,
            each.failed,
            Text(trace_id, style=f"link {page}"),
        )
    return shown


def _reason(reason: execution_pb2.FallbackReason.ValueType) -> str:
    name = execution_pb2.FallbackReason.Name(reason)
    return name.removeprefix("FALLBACK_REASON_")


if __name__ == "__main__":
    main()
