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
from gateway.retrieval.shared.retriever import OwnedRetriever
from gateway.settings import RetrievalSettings
from gateway.settings.models import NO_ENGINE

_log = logging.getLogger(__name__)

# A batch of 1000 documents takes 0.1 s; on a disk that is busy, much longer.
_WRITE_S = 60.0
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
    folder = Path(settings.path)

    def engine(*, writes: bool) -> LanceRetriever:
        return LanceRetriever(
            folder,
            writes=writes,
            vector_index_from=settings.vector_index_from,
            tidy_every_s=settings.tidy_every_s,
            keep_versions_s=settings.keep_versions_s,
        )

    shared = OwnedRetriever(
        folder, engine=engine, call_s=_WRITE_S, look_every_s=_LOOK_EVERY_S
    )
    try:
        await shared.open()
    except RetrieverError as error:
        # Rerank is served all the same.
        level = logging.WARNING if isinstance(error, MissingEngine) else logging.ERROR
        _log.log(level, "Search is not served: %s", error)
        return RefusingRetriever(error)
    parts.push_async_callback(shared.close)
    return shared
