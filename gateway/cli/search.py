"""`rerank-gateway search`."""

from enum import StrEnum
from typing import Annotated

import grpc.aio
import typer
from google.protobuf.json_format import MessageToJson

from gateway.cli.asking import asked
from gateway.cli.console import literal_console
from gateway.cli.options import Options, asks_a_gateway
from gateway.cli.search_tables import show_search
from rerank.v1 import search_service_pb2, search_service_pb2_grpc
from rerank.v1.search_service_pb2 import RetrievalMode


class Mode(StrEnum):
    """How candidates are found, as the command line has it."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    FULLTEXT = "fulltext"


class Fusion(StrEnum):
    """How the two legs are joined, as the command line has it."""

    RRF = "rrf"
    ZSCORE = "zscore"


CollectionOption = Annotated[
    str, typer.Option(help="Name of the collection.", show_default=True)
]


@asks_a_gateway
def search(  # noqa: PLR0917 - options of the command line, given by name
    options: Options,
    query: Annotated[str, typer.Argument(help="What to search for.")],
    collection: CollectionOption = "default",
    limit: Annotated[int, typer.Option(help="Results to show.")] = 10,
    offset: Annotated[int, typer.Option(help="Results to pass over.")] = 0,
    mode: Annotated[Mode, typer.Option(help="Which legs are searched.")] = Mode.HYBRID,
    fusion: Annotated[
        Fusion | None, typer.Option(help="How both are joined.", show_default=False)
    ] = None,
    mmr: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--mmr", help="Make the results diverse.")
    ] = False,
    relevance_weight: Annotated[
        float | None,
        typer.Option(
            help="With --mmr: 1 is relevance only, 0 diversity only.",
            show_default=False,
        ),
    ] = None,
    no_rerank: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--no-rerank", help="Keep the order of retrieval.")
    ] = False,
    top_k: Annotated[
        int | None, typer.Option(help="Documents to score.", show_default=False)
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Lowest score.", show_default=False)
    ] = None,
    route: Annotated[str, typer.Option(help="A configured route.")] = "",
    explain: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--explain", help="Show what each leg said.")
    ] = False,
    json: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--json", help="Print the response as JSON.")
    ] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds until the answer.")
    ] = 60.0,
) -> None:
    """Search a collection and show what was found, and how."""
    request = search_service_pb2.SearchRequest(
        query=query,
        collection=collection,
        limit=limit,
        offset=offset,
        retrieval=search_service_pb2.RetrievalOptions(
            mode=RetrievalMode.Value(f"RETRIEVAL_MODE_{mode.upper()}")
        ),
        explain=explain,
    )
    if fusion is not None:
        request.retrieval.fusion = search_service_pb2.Fusion.Value(
            f"FUSION_{fusion.upper()}"
        )
    if mmr or relevance_weight is not None:
        request.mmr.enabled = True
    if relevance_weight is not None:
        request.mmr.relevance_weight = relevance_weight
    if no_rerank:
        request.rerank.enabled = False
    if top_k is not None:
        request.rerank.top_k = top_k
    if min_score is not None:
        request.rerank.min_score = min_score
    request.rerank.route = route

    async def ask(channel: grpc.aio.Channel) -> search_service_pb2.SearchResponse:
        stub = search_service_pb2_grpc.SearchServiceStub(channel)
        return await stub.Search(request, timeout=timeout_s)

    response = asked(options, ask)
    if json:
        typer.echo(MessageToJson(response, preserving_proto_field_name=True))
    else:
        show_search(literal_console(), response)
