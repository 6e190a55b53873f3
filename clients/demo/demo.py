"""Start a gateway, store real documents, search them in four ways, rerank a list.

The gateway runs as its own process with its built-in model: no key, no download, no
other service, and its data in a folder that is removed at the end. Everything shown
about an answer is what the answer says of itself.
"""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

SAMPLE = Path(__file__).with_name("scifact")
COLLECTION = "scifact"
BATCH = 100
FOUND = 10
SHOWN = 5
WIDTH = 100
TIMEOUT_S = 30.0

HYBRID = search_service_pb2.RetrievalOptions(
    mode=search_service_pb2.RETRIEVAL_MODE_HYBRID,
    fusion=search_service_pb2.FUSION_RRF,
)
FULLTEXT = search_service_pb2.RetrievalOptions(
    mode=search_service_pb2.RETRIEVAL_MODE_FULLTEXT
)
RERANK = search_service_pb2.RerankOptions(enabled=True)
NO_RERANK = search_service_pb2.RerankOptions(enabled=False)
MMR = search_service_pb2.MmrOptions(enabled=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """A query, and the abstracts that annotators judged to be the evidence."""

    text: str
    relevant: frozenset[str]


Answers = list[search_service_pb2.SearchResponse]
"""To one claim, searched in the four ways."""


def main() -> None:
    out = Console(highlight=False)
    out.width = WIDTH if not out.is_terminal else min(out.width, WIDTH)
    claims = read_claims()
    with a_gateway() as address, grpc.insecure_channel(address) as channel:
        out.print(f"gateway on {address}, with its built-in model")
        began = time.perf_counter()
        count = store(document_service_pb2_grpc.DocumentServiceStub(channel))
        took_s = time.perf_counter() - began
        out.print(f"{count} abstracts stored in {took_s:.1f} s\n")
        searching = search_service_pb2_grpc.SearchServiceStub(channel)
        began = time.perf_counter()
        answers = [(claim, search(searching, claim)) for claim in claims]
        took_s = time.perf_counter() - began
        for claim, each in answers[:2]:
            show(out, claim, each)
        summarise(out, answers)
        searches = sum(len(each) for _, each in answers)
        out.print(f"{searches} searches in {took_s:.2f} s\n")
        rerank(out, rerank_service_pb2_grpc.RerankServiceStub(channel))


@contextmanager
def a_gateway() -> Iterator[str]:
    """Run `rerank-gateway serve` on a free port and give its address."""
    with tempfile.TemporaryDirectory(prefix="rerank-gateway-demo-") as folder:
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
        # Not the user's own configuration, and not among the user's own data.
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("RERANK_GATEWAY")
        }
        environ["RERANK_GATEWAY__RETRIEVAL__PATH"] = folder
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=environ
        )
        try:
            for line in process.stderr or ():
                if listening := re.search(r"listening on (\S+),", line):
                    yield listening[1]
                    break
            else:
                sys.exit(
                    "the gateway did not start: run rerank-gateway serve to see why"
                )
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT_S)


def read_claims() -> list[Claim]:
    relevant: dict[str, set[str]] = {}
    with (SAMPLE / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            relevant.setdefault(row["query-id"], set()).add(row["corpus-id"])
    lines = (SAMPLE / "queries.jsonl").read_text("utf-8").splitlines()
    return [
        Claim(text=each["text"], relevant=frozenset(relevant[each["_id"]]))
        for each in map(json.loads, lines)
    ]


def store(stub: document_service_pb2_grpc.DocumentServiceStub) -> int:
    """Create a collection and stream all abstracts into it, batch by batch."""
    stub.CreateCollection(
        document_service_pb2.CreateCollectionRequest(name=COLLECTION),
        timeout=TIMEOUT_S,
    )
    return sum(each.accepted_count for each in stub.ImportDocuments(batches()))


def batches() -> Iterator[document_service_pb2.ImportDocumentsRequest]:
    request = document_service_pb2.ImportDocumentsRequest(collection=COLLECTION)
    with gzip.open(SAMPLE / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            fields = json.loads(line)
            request.documents.append(
                document_pb2.Document(
                    id=fields["_id"], title=fields["title"], text=fields["text"]
                )
            )
            if len(request.documents) == BATCH:
                yield request
                request = document_service_pb2.ImportDocumentsRequest()
    yield request


def search(stub: search_service_pb2_grpc.SearchServiceStub, claim: Claim) -> Answers:
    """Search by words; by words and vectors; and let both be reranked."""

    def request(
        retrieval: search_service_pb2.RetrievalOptions,
        rerank: search_service_pb2.RerankOptions,
        mmr: search_service_pb2.MmrOptions | None = None,
    ) -> search_service_pb2.SearchRequest:
        return search_service_pb2.SearchRequest(
            query=claim.text,
            collection=COLLECTION,
            limit=FOUND,
            retrieval=retrieval,
            rerank=rerank,
            mmr=mmr,
        )

    return [
        stub.Search(each, timeout=TIMEOUT_S)
        for each in (
            request(FULLTEXT, NO_RERANK),
            request(HYBRID, NO_RERANK),
            request(HYBRID, RERANK),
            request(HYBRID, RERANK, MMR),
        )
    ]


def show(out: Console, claim: Claim, answers: Answers) -> None:
    """Print the first documents of each answer; the judged ones have a star."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("", width=1)
    for answer in answers:
        table.add_column(answer.search_method, no_wrap=True, ratio=1)
    for place in range(SHOWN):
        cells = [
            marked(answer.results[place].document, claim)
            if place < len(answer.results)
            else ""
            for answer in answers
        ]
        table.add_row(str(place + 1), *cells)
    out.print(Text(f"“{claim.text}”", style="italic"))
    out.print(table)
    out.print(f"{answers[-1].message}, by {answers[-1].execution.model}\n")


def marked(document: document_pb2.Document, claim: Claim) -> Text:
    hit = document.id in claim.relevant
    return Text(
        f"{'★' if hit else ' '} {document.title}",
        style="bold green" if hit else "",
        overflow="ellipsis",
    )


def summarise(out: Console, answers: list[tuple[Claim, Answers]]) -> None:
    """Print where the first judged abstract stands, for every claim and way."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("claim", no_wrap=True, ratio=1, overflow="ellipsis")
    for answer in answers[0][1]:
        table.add_column(answer.search_method, justify="right", no_wrap=True)
    for claim, each in answers:
        ranks = [
            next((r.rank for r in answer.results if r.id in claim.relevant), None)
            for answer in each
        ]
        table.add_row(claim.text, *(str(rank) if rank else "-" for rank in ranks))
    out.print(f"Rank of the first judged abstract (★) among the first {FOUND}:")
    out.print(table)


def rerank(out: Console, stub: rerank_service_pb2_grpc.RerankServiceStub) -> None:
    """Rerank documents that were found elsewhere: nothing of them is stored."""
    request = rerank_service_pb2.RerankRequest(
        query="how do I restore a backup?",
        documents=[
            document_pb2.Document(text=text)
            for text in (
                "The cafeteria serves vegetable soup on Mondays.",
                "A failed disk should be replaced before the array is rebuilt.",
                "Restoring a backup: stop the database, copy the backup, replay the log.",
            )
        ],
        search_method="vector",
    )
    answer = stub.Rerank(request, timeout=TIMEOUT_S)
    out.print(Text(f"“{request.query}”, in a list of your own", style="italic"))
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("rank", "before", "score"):
        table.add_column(name, justify="right")
    table.add_column(answer.search_method, no_wrap=True, ratio=1)
    for result in answer.results:
        table.add_row(
            str(result.rank),
            str(result.original_rank),
            f"{result.rerank_score:.3f}" if result.HasField("rerank_score") else "-",
            request.documents[result.index].text,
        )
    out.print(table)
    out.print(f"{answer.message}, by {answer.execution.model}")


if __name__ == "__main__":
    main()
