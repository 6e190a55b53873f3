"""One process's part of what is configured for all."""

import os

import pytest

from gateway.settings import checked
from gateway.settings.dividing import divided
from gateway.siblings import Siblings

_MIB = 1024 * 1024


def test_limits_and_memory_are_divided_and_nothing_else() -> None:
    settings = checked(
        {
            "server": {"max_calls": 10},
            "cache": {"max_bytes": 9},
            "embedder": {"max_cache_bytes": 6},
            "backends": {
                "tei": {
                    "dialect": "tei",
                    "url": "http://localhost:1",
                    "max_in_flight": 5,
                    "max_queued": 0,
                    "kept_free": 4,
                },
                "plain": {"dialect": "tei", "url": "http://localhost:1"},
                "local": {"dialect": "local", "max_cache_bytes": 7, "threads": 4},
            },
        }
    )
    part = divided(settings, Siblings(1, 3).share)

    assert part.server.max_calls == 3
    assert part.cache.max_bytes == 3
    assert part.embedder.max_cache_bytes == 2
    tei, plain, local = (part.backends[name] for name in ("tei", "plain", "local"))
    assert (tei.max_in_flight, tei.max_queued) == (2, 0)
    assert (tei.kept_free, plain.kept_free) == (1, None)
    assert plain.max_in_flight is not None
    assert plain.max_queued == 85
    assert (local.threads, local.max_cache_bytes) == (1, 2)
    whole = [
        sum(
            divided(settings, Siblings(place, 3).share).backends["plain"].max_queued
            for place in range(3)
        )
    ]
    assert whole == [256]
    same = {"max_in_flight", "max_queued", "kept_free"}
    assert tei.model_dump(exclude=same) == settings.backends["tei"].model_dump(
        exclude=same
    )
    assert part.routes == settings.routes
    assert part.retrieval == settings.retrieval


@pytest.mark.parametrize(
    ("cores", "count", "threads"), [(2, 2, 1), (16, 2, 4), (16, 16, 1), (8, 3, 3)]
)
def test_threads_that_nobody_configured_are_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, count: int, threads: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    part = divided(checked({}), Siblings(0, count).share)
    assert part.backends["local"].threads == threads
    assert part.backends["local"].max_in_flight is None
    assert part.embedder.threads == threads
    assert part.backends["local"].max_cache_bytes == 256 * _MIB // count + (
        256 * _MIB % count > 0
    )
