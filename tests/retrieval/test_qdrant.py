"""The distributed engine keeps to the contract, whatever plays Qdrant."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.retrieval.retriever import Retriever
from tests.retrieval.contract import RetrieverContract
from tests.retrieval.qdrants import in_memory, reached
from tests.support.qdrant_server import qdrant_server

pytestmark = pytest.mark.real_time

_REAL = os.environ.get("QDRANT_URL", "")


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
class TestLocalMode(RetrieverContract):
    """What the client of Qdrant plays itself, in Python."""

    @pytest.fixture
    async def retriever(self) -> AsyncIterator[Retriever]:
        async with in_memory() as engine:
            yield engine


class TestOverTheWire(RetrieverContract):
    """Qdrant's own storage and search, behind its own gRPC."""

    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
            yield engine


if _REAL:

    class TestRealServer(RetrieverContract):
        """The one that `QDRANT_URL` names, HOST:PORT of its gRPC."""

        @pytest.fixture
        async def retriever(self) -> AsyncIterator[Retriever]:
            # So that nothing of anybody else is touched.
            prefix = f"test_{secrets.token_hex(4)}_"
            key = os.environ.get("QDRANT_API_KEY", "")
            async with reached(_REAL, key=key, prefix=prefix) as engine:
                yield engine
                for each in await engine.collections():
                    await engine.delete_collection(each.name)
