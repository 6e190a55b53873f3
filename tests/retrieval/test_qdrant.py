"""The distributed engine keeps to the contract, over the client's own engine and a wire."""

from collections.abc import AsyncIterator

import pytest
from qdrant_client import AsyncQdrantClient

from gateway.retrieval.qdrant.calls import Cluster
from gateway.retrieval.qdrant.engine import QdrantRetriever
from gateway.retrieval.retriever import Retriever
from tests.retrieval.contract import RetrieverContract

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
