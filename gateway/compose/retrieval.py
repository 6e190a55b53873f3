"""Build what Search and DocumentService stand on: the engine."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.backends.authorities import trust_problem
from gateway.backends.transport import Pool
from gateway.retrieval.errors import (
    AccessRefused,
    EngineSwitchedOff,
    MissingEngine,
    RetrieverError,
)
from gateway.retrieval.qdrant.place import locate
from gateway.retrieval.refusing import RefusingRetriever
from gateway.retrieval.retriever import Retriever
from gateway.retrieval.weaviate.place import locate as places
from gateway.settings import RetrievalSettings
from gateway.settings.models import NO_ENGINE
from gateway.settings.retrieval import QDRANT, WEAVIATE

if TYPE_CHECKING:
    from gateway.retrieval.shared.retriever import OwnedRetriever

_log = logging.getLogger(__name__)

# How soon one of the others owns the store when its owner is gone.
_LOOK_EVERY_S = 0.5


async def retriever(settings: RetrievalSettings, parts: AsyncExitStack) -> Retriever:
    """Open the engine; where it cannot be, what stands in for it says why.

    Args:
        settings: Its configuration, which was checked.
        parts: Closes it.

    """
    if settings.engine == NO_ENGINE:
        message = "Search is switched off: retrieval.engine is none"
        return RefusingRetriever(EngineSwitchedOff(message))
    try:
        engine: Retriever
        if settings.engine in _CLUSTERS:
            engine = await asyncio.to_thread(_distributed, settings)
        else:
            engine = _shared(settings)
        await engine.open()
    except RetrieverError as error:
        # Rerank is served all the same.
        level = logging.WARNING if isinstance(error, MissingEngine) else logging.ERROR
        _log.log(level, "Search is not served: %s", error)
        return RefusingRetriever(error)
    parts.push_async_callback(engine.close)
    return engine


def _distributed(settings: RetrievalSettings) -> Retriever:
    """Make what reaches a cluster; to load its client takes a second."""
    urls = (*settings.nodes, *settings.grpc_urls)
    if problem := settings.problem or trust_problem(urls):
        message = f"retrieval: {problem}"
        raise AccessRefused(message)
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    return _CLUSTERS[settings.engine](settings, key)


def _qdrant(settings: RetrievalSettings, key: str) -> Retriever:
    try:
        from gateway.retrieval.qdrant.calls import Cluster
        from gateway.retrieval.qdrant.connecting import client
        from gateway.retrieval.qdrant.engine import QdrantRetriever
    except ImportError as error:
        message = f"{error.name} is missing: pip install 'rerank-gateway[qdrant]'"
        raise MissingEngine(message, extra="qdrant") from error
    longest_s = max(settings.timeout_s, settings.write_timeout_s)
    return QdrantRetriever(
        client(locate(settings.url), key=key, longest_s=longest_s),
        Cluster(
            prefix=settings.prefix,
            shard_number=settings.shard_number,
            replication_factor=settings.replication_factor,
            write_consistency_factor=settings.write_consistency_factor,
            read_consistency=settings.read_consistency,
            mean_terms=settings.mean_terms,
            read_s=settings.timeout_s,
            write_s=settings.write_timeout_s,
        ),
    )


def _weaviate(settings: RetrievalSettings, key: str) -> Retriever:
    try:
        from gateway.retrieval.weaviate.calls import Cluster
        from gateway.retrieval.weaviate.connecting import Node
        from gateway.retrieval.weaviate.engine import WeaviateRetriever
        from gateway.retrieval.weaviate.nodes import Nodes
    except ImportError as error:
        message = f"{error.name} is missing: pip install 'rerank-gateway[weaviate]'"
        raise MissingEngine(message, extra="weaviate") from error
    return WeaviateRetriever(
        Nodes(
            [Node(each) for each in places(settings.nodes, settings.grpc_urls)],
            Pool(),
            key=key,
        ),
        Cluster(
            prefix=settings.prefix,
            shard_number=settings.shard_number,
            replication_factor=settings.replication_factor,
            read_s=settings.timeout_s,
            write_s=settings.write_timeout_s,
        ),
    )


_CLUSTERS = {QDRANT: _qdrant, WEAVIATE: _weaviate}


def _shared(settings: RetrievalSettings) -> "OwnedRetriever":
    try:
        from gateway.retrieval.lance.engine import LanceRetriever
        from gateway.retrieval.shared.retriever import OwnedRetriever
    except ImportError as error:
        message = f"{error.name} is missing: pip install 'rerank-gateway[embedded]'"
        raise MissingEngine(message, extra="embedded") from error

    folder = Path(settings.path)

    def engine(*, writes: bool) -> LanceRetriever:
        return LanceRetriever(
            folder,
            writes=writes,
            vector_index_from=settings.vector_index_from,
            tidy_every_s=settings.tidy_every_s,
            keep_versions_s=settings.keep_versions_s,
        )

    return OwnedRetriever(
        folder,
        engine=engine,
        call_s=settings.write_timeout_s,
        look_every_s=_LOOK_EVERY_S,
    )
