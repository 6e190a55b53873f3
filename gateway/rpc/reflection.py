"""Server reflection, for grpcurl and its like to work without a proto file."""

from collections.abc import Sequence
from typing import cast

import grpc.aio
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection

SERVICE = reflection.SERVICE_NAME
SERVICES = (SERVICE, "grpc.reflection.v1.ServerReflection")
"""What tools ask: newer ones for the second, and then for the first."""


def enable_reflection(services: Sequence[str], server: grpc.aio.Server) -> None:
    """Let a server tell about these services and about reflection itself."""
    reflection.enable_server_reflection(
        (*services, SERVICE),
        server,
        pool=cast("DescriptorPool", _Symbols(Default())),
    )


def methods_of(services: Sequence[str]) -> frozenset[str]:
    """Name all that can be called of some services, `package.Service/Method`."""
    pool = Default()
    return frozenset(
        f"{service}/{method.name}"
        for service in services
        for method in pool.FindServiceByName(service).methods
    )


class _Symbols:
    """The known symbols, and the methods of services among them.

    Python's pool finds the file of a message or of its field, but not that of a method,
    which `grpcurl describe rerank.v1.RerankService.Rerank` asks for.
    """

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> object:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the pool's name
        """Find the file that declares a symbol.

        Raises:
            KeyError: None does.

        """
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file
