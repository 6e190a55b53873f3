"""`rerank-gateway collections`."""

from typing import TYPE_CHECKING, Annotated

import grpc.aio
import typer
from google.protobuf.json_format import MessageToJson

from gateway.cli.asking import AddressOption, asked
from gateway.cli.configuration import ConfigOption
from gateway.cli.console import literal_console
from gateway.cli.search_tables import show_collections
from rerank.v1 import collection_pb2, document_service_pb2, document_service_pb2_grpc

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub


def collections(
    config: ConfigOption = None,
    address: AddressOption = None,
    json: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--json", help="Print the collections as JSON lines.")
    ] = False,
) -> None:
    """List the collections."""

    async def ask(channel: grpc.aio.Channel) -> list[collection_pb2.Collection]:
        return await listed(document_service_pb2_grpc.DocumentServiceStub(channel))

    found = asked(config, address, ask)
    if json:
        for each in found:
            typer.echo(
                MessageToJson(each, preserving_proto_field_name=True, indent=None)
            )
        return
    show_collections(literal_console(), found)


async def listed(
    stub: "DocumentServiceAsyncStub",
) -> list[collection_pb2.Collection]:
    """Ask for all collections, page by page.

    Raises:
        grpc.RpcError: As the gateway answers.

    """
    found: list[collection_pb2.Collection] = []
    request = document_service_pb2.ListCollectionsRequest()
    while True:
        page = await stub.ListCollections(request)
        found += page.collections
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
