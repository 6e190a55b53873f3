"""Retrievers over Weaviate, for tests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway.backends.transport import Pool
from gateway.retrieval.weaviate.calls import Cluster
from gateway.retrieval.weaviate.connecting import Node as Reached
from gateway.retrieval.weaviate.engine import WeaviateRetriever
from gateway.retrieval.weaviate.nodes import Nodes
from gateway.retrieval.weaviate.place import locate
from tests.support.weaviate_server import Node

CLUSTER = Cluster(
    prefix="",
    shard_number=None,
    replication_factor=None,
    read_s=10.0,
    write_s=20.0,
)


@asynccontextmanager
async def reached(
    nodes: Sequence[Node], *, key: str = "", **cluster: Any
) -> AsyncIterator[WeaviateRetriever]:
    """Reach a cluster by its nodes, with other settings than usual."""
    places = locate([each.url for each in nodes], [each.grpc_url for each in nodes])
    asked = Nodes([Reached(each) for each in places], Pool(), key=key)
    engine = WeaviateRetriever(asked, replace(CLUSTER, **cluster))
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()
