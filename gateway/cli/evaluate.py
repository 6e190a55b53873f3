"""`rerank-gateway evaluate`."""

import json as standard_json
import platform
import sys
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer

from gateway.cli.asking import asked
from gateway.cli.configurations import SEARCHED
from gateway.cli.console import literal_console
from gateway.cli.evaluated import Evaluated, ask_all
from gateway.cli.failing import FAILURE, MISTAKE, fail
from gateway.cli.options import Options, asks_a_gateway
from gateway.evaluation.reading import Unreadable, read_questions
from rerank.v1 import search_service_pb2_grpc

_DEFAULT = (
    "fulltext",
    "vector",
    "rrf_hybrid",
    "zscore_hybrid",
    "rrf_hybrid+rerank",
    "rrf_hybrid+mmr+rerank",
)


@asks_a_gateway
def evaluate(  # noqa: PLR0917 - options of the command line, given by name
    options: Options,
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    queries: Annotated[
        Path, typer.Option(help="JSON lines as BEIR has them, or .gz of it.")
    ],
    qrels: Annotated[Path, typer.Option(help="Judgements as BEIR has them: a .tsv.")],
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEARCH_METHOD",
            help="A way of searching, such as rrf_hybrid+rerank. May be repeated; each "
            f"is compared with the one before. Default: {', '.join(_DEFAULT)}.",
            show_default=False,
        ),
    ] = None,
    limit_queries: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many queries.", show_default=False),
    ] = None,
    json: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--json", help="Print everything as JSON.")
    ] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds until one answer.")
    ] = 60.0,
) -> None:
    """Measure how well a collection is searched, by queries whose answers are known.

    Ends with 1 if an answer degraded: then the numbers are not those of the way of
    searching that they stand beside.
    """
    configurations = configuration or list(_DEFAULT)
    for each in configurations:
        if each not in SEARCHED:
            ways = ", ".join(SEARCHED)
            fail(f"--configuration {each}: must be one of {ways}", MISTAKE)
    try:
        from gateway.cli.evaluation_tables import Findings
    except ModuleNotFoundError as error:
        fail(f"{error.name} is missing: {_remedy()}")
    try:
        questions = read_questions(queries, qrels, at_most=limit_queries)
    except Unreadable as error:
        fail(str(error), MISTAKE)

    async def ask(channel: grpc.aio.Channel) -> list[Evaluated]:
        stub = search_service_pb2_grpc.SearchServiceStub(channel)
        return await ask_all(
            stub, collection, questions, configurations, timeout_s=timeout_s
        )

    findings = Findings(collection, questions, asked(options, ask))
    if json:
        typer.echo(standard_json.dumps(findings.as_json(), indent=2))
    else:
        findings.show(literal_console())
    if findings.degraded:
        fail(f"{findings.degraded} answers degraded", FAILURE)


def _remedy() -> str:
    # The extra leaves out what has no wheel there.
    if sys.platform == "linux" and platform.machine() == "aarch64":
        return "pip install ir-measures numpy (it needs a C compiler here)"
    return "pip install 'rerank-gateway[evaluate]'"
