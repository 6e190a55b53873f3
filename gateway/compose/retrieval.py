"""Build what Search and DocumentService stand on: the engine."""

import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.retrieval.errors import EngineSwitchedOff, MissingEngine, RetrieverError
from gateway.retrieval.refusing import RefusingRetriever
from gateway.retrieval.retriever import Retriever
from gateway.settings import RetrievalSettings
from gateway.settings.models import NO_ENGINE

if TYPE_CHECKING:
    from gateway.retrieval.shared.retriever import OwnedRetriever

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
    try:
        shared = _shared(settings)
        await shared.open()
    except RetrieverError as error:
        # Rerank is served all the same.
        level = logging.WARNING if isinstance(error, MissingEngine) else logging.ERROR
        _log.log(level, "Search is not served: %s", error)
        return RefusingRetriever(error)
    parts.push_async_callback(shared.close)
    return shared


def _shared(settings: RetrievalSettings) -> "OwnedRetriever":
    try:
        from gateway.retrieval.lance.engine import LanceRetriever
        from gateway.retrieval.shared.retriever import OwnedRetriever
    except ImportError as error:
        message = f"{error.name} is missing: pip install 'rerank-gateway[embedded]'"
        raise MissingEngine(message) from error

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
        folder, engine=engine, call_s=_WRITE_S, look_every_s=_LOOK_EVERY_S
    )
