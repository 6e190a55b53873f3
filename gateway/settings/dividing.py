"""One process's part of what is configured for all that serve together."""

import os
from collections.abc import Callable

from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.settings.models import (
    LOCAL,
    LOCAL_MAX_CACHE_BYTES,
    LOCAL_THREADS_AT_MOST,
    BackendSettings,
    EmbedderSettings,
    Settings,
)

Share = Callable[[int], int]
"""Gives a part of a number."""


def divided(settings: Settings, share: Share) -> Settings:
    """Give one process its part of all limits and of all memory.

    What holds for one call stays as it is: sizes, times, shares.

    Args:
        settings: Of all processes.
        share: Gives its part of one limit.

    """
    server, cache = settings.server, settings.cache
    return settings.model_copy(
        update={
            "server": server.model_copy(update={"max_calls": share(server.max_calls)}),
            "cache": cache.model_copy(
                update={
                    "max_bytes": share(cache.max_bytes),
                    "max_answer_bytes": share(cache.max_answer_bytes),
                }
            ),
            "embedder": _embedder(settings.embedder, share),
            "backends": {
                name: _backend(backend, share)
                for name, backend in settings.backends.items()
            },
        }
    )


def _backend(settings: BackendSettings, share: Share) -> BackendSettings:
    parts: dict[str, int] = {"max_queued": share(settings.max_queued)}
    if settings.kept_free is not None:
        parts["kept_free"] = share(settings.kept_free)
    if settings.dialect == LOCAL:
        threads = _threads(settings.threads, share)
        parts["threads"] = threads
        in_flight = settings.max_in_flight
        if not settings.model:
            most = settings.max_cache_bytes
            parts["max_cache_bytes"] = share(
                LOCAL_MAX_CACHE_BYTES if most is None else most
            )
    else:
        dialect = DIALECTS.get(settings.dialect) or GRPC_DIALECTS[settings.dialect]
        in_flight = settings.max_in_flight or dialect.max_in_flight
    # Unset for what runs in the process: as many as it has threads.
    if in_flight:
        parts["max_in_flight"] = share(in_flight)
    return settings.model_copy(update=parts)


def _embedder(settings: EmbedderSettings, share: Share) -> EmbedderSettings:
    parts = {"max_cache_bytes": share(settings.max_cache_bytes)}
    if settings.dialect == LOCAL:
        parts["threads"] = _threads(settings.threads, share)
    return settings.model_copy(update=parts)


def _threads(configured: int | None, share: Share) -> int:
    if configured:
        return share(configured)
    return min(share(os.cpu_count() or 1), LOCAL_THREADS_AT_MOST)
