"""`rerank-gateway backends`."""

import grpc.aio

from gateway.cli.asking import asked
from gateway.cli.console import literal_console
from gateway.cli.options import Options, asks_a_gateway
from gateway.cli.pages import pages
from gateway.cli.tables import show_backends
from gateway.concurrency import all_of
from rerank.v1 import backend_pb2, backend_service_pb2, backend_service_pb2_grpc

Checked = tuple[backend_pb2.Backend, backend_service_pb2.CheckBackendResponse]
"""A backend, and what a probe of it found."""


@asks_a_gateway
def backends(options: Options) -> None:
    """List every backend and ask each of them whether it works.

    A probe is one call with two short documents; a vendor may charge for it.
    """
    checked = asked(options, check_all, searches=False)
    show_backends(literal_console(), checked)
    if not all(found.available for _, found in checked):
        raise SystemExit(1)


async def check_all(channel: grpc.aio.Channel) -> list[Checked]:
    """List every backend of a gateway, and have each of them probed."""
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    request = backend_service_pb2.ListBackendsRequest()
    listed = [
        each
        async for page in pages(stub.ListBackends, request)
        for each in page.backends
    ]

    async def check(backend: backend_pb2.Backend) -> Checked:
        question = backend_service_pb2.CheckBackendRequest(name=backend.name)
        return backend, await stub.CheckBackend(question)

    # What is the same to several workers is asked once.
    different = {backend.name: backend for backend in reversed(listed)}
    return await all_of(*(check(different[name]) for name in sorted(different)))
