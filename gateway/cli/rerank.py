"""`rerank-gateway rerank`."""

from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToJson

from gateway.cli.asking import asked
from gateway.cli.console import literal_console
from gateway.cli.documents import read_documents
from gateway.cli.options import Options, asks_a_gateway
from gateway.cli.tables import show_rerank
from rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc


@asks_a_gateway
def rerank(  # noqa: PLR0917 - options of the command line, given by name
    options: Options,
    file: Annotated[
        str,
        typer.Argument(
            help="Documents, as JSON lines or one text per line; - for standard input.",
        ),
    ],
    query: Annotated[str, typer.Option(help="What they are judged against.")],
    route: Annotated[str, typer.Option(help="A configured route.")] = "",
    top_k: Annotated[
        int | None, typer.Option(help="Documents to score.", show_default=False)
    ] = None,
    top_n: Annotated[int, typer.Option(help="Documents to show; 0: all.")] = 0,
    min_score: Annotated[
        float | None, typer.Option(help="Lowest score.", show_default=False)
    ] = None,
    search_method: Annotated[
        str, typer.Option(help="How the documents were found, such as rrf_hybrid.")
    ] = "",
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds until the answer.")
    ] = 60.0,
    json: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--json", help="Print the response as JSON.")
    ] = False,
) -> None:
    """Rerank documents and show their order before and after."""
    request = rerank_service_pb2.RerankRequest(
        query=query,
        documents=read_documents(file),
        route=route,
        top_k=top_k,
        top_n=top_n,
        min_score=min_score,
        search_method=search_method,
    )

    async def ask(channel: grpc.aio.Channel) -> rerank_service_pb2.RerankResponse:
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        return await stub.Rerank(request, timeout=timeout_s)

    response = asked(options, ask, searches=False)
    if json:
        typer.echo(MessageToJson(response, preserving_proto_field_name=True))
    else:
        show_rerank(literal_console(), request, response)
