"""Start a gateway, rerank real documents through the generated stub, show both orders.

The gateway runs as its own process with its built-in model: no key, no download, no
other service. Six claims of SciFact bring the 20 abstracts that BM25 found for each.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rerank.v1 import document_pb2, rerank_service_pb2, rerank_service_pb2_grpc

SAMPLE = Path(__file__).with_name("scifact.jsonl")
SHOWN = 7
WIDTH = 100
STARTS_WITHIN_S = 30.0


def main() -> None:
    out = Console(highlight=False)
    out.width = WIDTH if not out.is_terminal else min(out.width, WIDTH)
    claims = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    with a_gateway() as address, grpc.insecure_channel(address) as channel:
        out.print(f"gateway on {address}, with its built-in model\n")
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        began = time.perf_counter()
        answers = [(claim, rerank(stub, claim)) for claim in claims]
        first_s = time.perf_counter() - began
        for claim, answer in answers[:2]:
            show(out, claim, answer)
        summarise(out, answers)
        began = time.perf_counter()
        for claim in claims:
            rerank(stub, claim)
        again_s = time.perf_counter() - began
    documents = sum(len(claim["documents"]) for claim in claims)
    out.print(
        f"{len(claims)} calls with {documents} documents: {first_s:.2f} s, and"
        f" {again_s:.2f} s the second time, because encodings are remembered"
    )


@contextmanager
def a_gateway() -> Iterator[str]:
    """Run `rerank-gateway serve` on a free port and give its address."""
    command = [sys.executable, "-m", "gateway", "serve", "--address", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr or ():
            if listening := re.search(r"listening on (\S+),", line):
                yield listening[1]
                break
        else:
            sys.exit("the gateway did not start: run rerank-gateway serve to see why")
    finally:
        process.terminate()
        process.communicate(timeout=STARTS_WITHIN_S)


def rerank(
    stub: rerank_service_pb2_grpc.RerankServiceStub, claim: dict[str, Any]
) -> rerank_service_pb2.RerankResponse:
    """Ask as any caller would: the query, the documents, and how they were found."""
    request = rerank_service_pb2.RerankRequest(
        query=claim["claim"],
        documents=[
            document_pb2.Document(
                id=document["id"],
                title=document["title"],
                text=document["text"],
                score=document["score"],
            )
            for document in claim["documents"]
        ],
        search_method="fulltext",
    )
    return stub.Rerank(request, timeout=STARTS_WITHIN_S)


def show(
    out: Console, claim: dict[str, Any], answer: rerank_service_pb2.RerankResponse
) -> None:
    """Print the first documents before and after; the judged ones have a star."""
    relevant = set(claim["relevant"])
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("", width=1)
    table.add_column("before: fulltext", no_wrap=True, ratio=1)
    table.add_column(f"after: {answer.search_method}", no_wrap=True, ratio=1)
    before = claim["documents"][:SHOWN]
    after = [claim["documents"][result.index] for result in answer.results[:SHOWN]]
    for rank, (left, right) in enumerate(zip(before, after, strict=True), start=1):
        table.add_row(str(rank), *(marked(each, relevant) for each in (left, right)))
    out.print(Text(f"“{claim['claim']}”", style="italic"))
    out.print(table)
    out.print(f"{answer.message}, by {answer.execution.model}\n")


def marked(document: dict[str, Any], relevant: set[str]) -> Text:
    hit = document["id"] in relevant
    return Text(
        f"{'★' if hit else ' '} {document['title']}",
        style="bold green" if hit else "",
        overflow="ellipsis",
    )


def summarise(
    out: Console,
    answers: list[tuple[dict[str, Any], rerank_service_pb2.RerankResponse]],
) -> None:
    """Print where the first judged abstract stood and stands, for every claim."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("claim", no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column("★ before", justify="right")
    table.add_column("★ after", justify="right")
    for claim, answer in answers:
        relevant = set(claim["relevant"])
        found = [r for r in answer.results if r.id in relevant]
        before = min(result.original_rank for result in found)
        after = min(result.rank for result in found)
        style = "green" if after < before else "red" if after > before else ""
        table.add_row(claim["claim"], str(before), Text(str(after), style=style))
    out.print("Rank of the first judged abstract (★):")
    out.print(table)
    out.print()


if __name__ == "__main__":
    main()
