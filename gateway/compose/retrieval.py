"""Build what Search and DocumentService stand on: the engine."""

import logging
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.refusing import RefusingRetriever
from gateway.retrieval.retriever import (
    EngineSwitchedOff,
    MissingEngine,
    Retriever,
    RetrieverError,
)
from gateway.settings import RetrievalSettings
from gateway.settings.models import NO_ENGINE

_log = logging.getLogger(__name__)


async def retriever(settings: RetrievalSettings, parts: AsyncExitStack) -> Retriever:
    """Open the engine; where it cannot be, what stands in for it says why.

    Args:
        settings: Its configuration, which was checked.
        parts: Closes it.

    """
    if settings.engine == NO_ENGINE:
        message = "Search is switched off: retrieval.engine is none"
        return RefusingRetriever(EngineSwitchedOff(message))
    engine = LanceRetriever(
        Path(settings.path),
        writes=True,
        vector_index_from=settings.vector_index_from,
        tidy_every_s=settings.tidy_every_s,
        keep_versions_s=settings.keep_versions_s,
    )
    try:
        await engine.open()
    except MissingEngine as error:
        _log.warning("Search is not served: %s", error)
        return RefusingRetriever(error)
    except RetrieverError as error:
        # Rerank is served all the same.
        _log.error("Search is not served: %s", error)
        return RefusingRetriever(error)
    parts.push_async_callback(engine.close)
    return engine
