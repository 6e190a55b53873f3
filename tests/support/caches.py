"""Caches as tests need them."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from gateway.backends.errors import Attempt
from gateway.backends.scorer import (
    CacheMode,
    CacheWish,
    Scorer,
    ScoreRequest,
    Scores,
    Usage,
)
from gateway.events import Event
from gateway.layers.cache import Cache
from gateway.layers.memory import Memory
from gateway.layers.pair_keys import PairKeys
from gateway.layers.process_memory import ProcessMemory
from gateway.ranking.normalize import Scale
from tests.support.scorers import FakeScorer, Step

SECRET = b"0123456789abcdef"


def process_memory(max_bytes: int = 1_000_000) -> ProcessMemory:
    return ProcessMemory(max_bytes=max_bytes)


def pair_keys(
    *,
    secret: bytes = SECRET,
    backend: str = "fake",
    configured: tuple[str, ...] = ("m",),
    scale: Scale = Scale.LOGIT,
) -> PairKeys:
    return PairKeys(secret=secret, backend=backend, configured=configured, scale=scale)


def cached(
    scorer: Scorer,
    *,
    memory: Memory | None = None,
    keys: PairKeys | None = None,
    ttl_s: float = 300.0,
    listwise: bool = False,
    tier: str = "process",
    emit: Callable[[Event], None] = lambda _: None,
) -> Cache:
    return Cache(
        scorer,
        backend="fake",
        memory=memory or process_memory(),
        keys=keys or pair_keys(),
        ttl_s=ttl_s,
        listwise=listwise,
        tier=tier,
        chance=Random(1),
        emit=emit,
    )


def wishing(
    request: ScoreRequest,
    mode: CacheMode = CacheMode.DEFAULT,
    *,
    ttl_s: float | None = None,
) -> ScoreRequest:
    return replace(request, cache=CacheWish(mode=mode, ttl_s=ttl_s))


def texts(request: ScoreRequest) -> list[str]:
    return [document.text for document in request.documents]


def answered(
    then: Step, *, revision: str = "", truncated: frozenset[int] = frozenset()
) -> Step:
    """Answer as a backend does: with a call that was made, its cost, and a revision."""

    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        count = len(request.documents)
        attempt = Attempt(scorer.backend, scorer.model, None, 0.1, count)
        return replace(
            await then(scorer, request),
            revision=revision,
            truncated=truncated,
            usage=Usage(tokens=count),
            attempts=(attempt,),
        )

    return step
