"""Retrievers over Qdrant, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from qdrant_client import AsyncQdrantClient

from gateway.retrieval.qdrant.calls import Cluster
from gateway.retrieval.qdrant.connecting import client
from gateway.retrieval.qdrant.engine import QdrantRetriever
from gateway.retrieval.qdrant.place import locate

CLUSTER = Cluster(
    prefix="",
    shard_number=None,
    replication_factor=None,
    write_consistency_factor=None,
    read_consistency=None,
    mean_terms=100.0,
    read_s=10.0,
    write_s=20.0,
)


@asynccontextmanager
async def reached(
    address: str, *, key: str = "", **cluster: Any
) -> AsyncIterator[QdrantRetriever]:
    """Reach a server by its address, with other settings than usual."""
    connected = client(locate(f"http://{address}"), key=key, longest_s=20.0)
    async with _opened(connected, **cluster) as engine:
        yield engine


@asynccontextmanager
async def in_memory() -> AsyncIterator[QdrantRetriever]:
    """Use the engine that the client plays itself."""
    async with _opened(AsyncQdrantClient(":memory:")) as engine:
        yield engine


@asynccontextmanager
async def _opened(
    connected: AsyncQdrantClient, **cluster: Any
) -> AsyncIterator[QdrantRetriever]:
    engine = QdrantRetriever(connected, replace(CLUSTER, **cluster))
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()
