"""The distributed engine keeps to the contract, over the client's own engine and a wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from gateway.retrieval.qdrant.calls import Cluster
from gateway.retrieval.qdrant.connecting import client
from gateway.retrieval.qdrant.engine import QdrantRetriever
from gateway.retrieval.qdrant.place import locate
from gateway.retrieval.retriever import Retriever
from tests.retrieval.contract import RetrieverContract
from tests.support.qdrant_server import qdrant_server

pytestmark = pytest.mark.real_time

CLUSTER = Cluster(
    prefix="",
    shard_number=None,
    replication_factor=None,
    write_consistency_factor=None,
    read_consistency=None,
    mean_terms=100.0,
    read_s=5.0,
    write_s=10.0,
)


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
class TestLocalMode(RetrieverContract):
    """Qdrant's client as it plays an engine in memory."""

    @pytest.fixture
    async def retriever(self) -> AsyncIterator[Retriever]:
        engine = QdrantRetriever(AsyncQdrantClient(":memory:"), CLUSTER)
        await engine.open()
        yield engine
        await engine.close()


class TestOverTheWire(RetrieverContract):
    """Qdrant's own storage and search behind its own gRPC."""

    @pytest.fixture
    async def retriever(self, tmp_path: Path) -> AsyncIterator[Retriever]:
        async with qdrant_server(tmp_path) as server, opened(server.address) as engine:
            yield engine


@asynccontextmanager
async def opened(address: str, *, key: str = "") -> AsyncIterator[QdrantRetriever]:
    """Connect to a server."""
    engine = QdrantRetriever(
        client(locate(f"http://{address}"), key=key, longest_s=10.0), CLUSTER
    )
    await engine.open()
    yield engine
    await engine.close()
