"""Whole stacks of layers, as `gateway.compose` builds them, around fakes."""

from collections.abc import Iterable
from random import Random
from typing import Any

from gateway.backends.errors import Excess, TooLarge, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest
from gateway.compose import NO_MEMORIES, Leaf, Surroundings, stack
from gateway.compose.memories import Memories, Tier
from gateway.events import AttemptEnded, CacheRead, Event
from gateway.layers.memory import Memory
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from gateway.tenants.metering import Meter
from tests.support.caches import SECRET, process_memory
from tests.support.scorers import Step, fails, reads

LONG = "word " * 800
"""Longer than `refuses_long` takes."""


def stacked(
    *servers: Scorer,
    told: list[Event] | None = None,
    memories: Memories = NO_MEMORIES,
    chunk: int = 2,
    in_flight: int = 8,
    queued: int = 8,
    timeout_s: float = 2.0,
    top_k: int = 100,
    top_k_found: int | None = None,
    asks_collection: bool = False,
    max_tokens: int | None = 512,
    listwise: bool = False,
    meter: Meter | None = None,
    **more: Any,
) -> Scorer:
    """Put all layers around one backend of one or several servers."""
    return stack(
        Leaf(
            scorers=servers,
            facts=Facts(max_documents=chunk, model="m", fixed=True),
            scale=Scale.LOGIT,
            listwise=listwise,
            in_flight=in_flight,
            top_k=top_k,
            top_k_found=top_k_found or top_k,
            max_tokens=max_tokens,
            cuts_pairs=False,
            asks_collection=asks_collection,
        ),
        name="fake",
        settings=BackendSettings(
            dialect="simple", timeout_s=timeout_s, max_queued=queued, **more
        ),
        around=Surroundings(
            memories, Random(7), (told if told is not None else []).append
        ),
        meter=meter,
    )


def process_only() -> Memories:
    """Remember in one process alone."""
    return _memories(Tier(process_memory(), "process"))


def sharing(shared: Memory) -> Memories:
    """Remember in a process of its own, and in what gateways share."""
    return _memories(Tier(shared, "shared"), Tier(process_memory(), "process"))


def refuses_long(request: ScoreRequest) -> Step:
    """Refuse documents of more than 2048 characters, as of too many tokens."""
    longest = max(len(each.text) for each in request.documents)
    if longest > 2048:
        return fails(lambda: TooLarge("fake", Excess.TOKENS, given=1000, limit=512))
    return reads()


def is_down() -> Step:
    """Fail as a server does that cannot be reached."""
    return fails(lambda: Unavailable("fake", "refused"))


def attempts_in(told: Iterable[Event]) -> list[AttemptEnded]:
    """Pick the calls that were written down."""
    return [event for event in told if isinstance(event, AttemptEnded)]


def reads_in(told: Iterable[Event]) -> list[tuple[str, int, int]]:
    """Pick the looks into memories: tier, hits and misses of each."""
    return [
        (event.tier, event.hits, event.misses)
        for event in told
        if isinstance(event, CacheRead)
    ]


def _memories(*tiers: Tier) -> Memories:
    return Memories(tiers=tiers, ttl_s=300.0, secret=SECRET)
