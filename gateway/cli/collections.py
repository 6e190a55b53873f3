"""`rerank-gateway collections`."""

from typing import Annotated

import grpc.aio
import typer
from google.protobuf.json_format import MessageToJson

from gateway.cli.asking import asked
from gateway.cli.console import literal_console
from gateway.cli.copying import copy
from gateway.cli.listing import listed
from gateway.cli.options import Options, asks_a_gateway
from gateway.cli.search_tables import show_collections
from rerank.v1 import collection_pb2, document_service_pb2_grpc

collections = typer.Typer(
    help="List the collections, or copy one.", invoke_without_command=True
)
collections.command("copy")(copy)


@collections.callback()
@asks_a_gateway
def list_(
    options: Options,
    context: typer.Context,
    json: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--json", help="Print the collections as JSON lines.")
    ] = False,
) -> None:
    """List the collections, or copy one."""
    if context.invoked_subcommand is not None:
        return

    async def ask(channel: grpc.aio.Channel) -> list[collection_pb2.Collection]:
        return await listed(document_service_pb2_grpc.DocumentServiceStub(channel))

    found = asked(options, ask)
    if json:
        for each in found:
            typer.echo(
                MessageToJson(each, preserving_proto_field_name=True, indent=None)
            )
        return
    show_collections(literal_console(), found)
