"""The layers around one backend: which, in which order, and why."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from gateway.backends.billing import CALLS, Billing
from gateway.backends.facts import Facts
from gateway.backends.posting import UNWATCHED, Wire
from gateway.backends.scorer import Scorer
from gateway.compose.memories import Memories
from gateway.events import CircuitChanged, Emit, Event
from gateway.layers.balance import Balance, Replica
from gateway.layers.beginning import Beginning
from gateway.layers.breaker import Breaker
from gateway.layers.budget import Budget
from gateway.layers.cache import Cache
from gateway.layers.chunk import Chunk
from gateway.layers.circuit import Circuit
from gateway.layers.depth import Depth
from gateway.layers.hedge import Hedge
from gateway.layers.latency import Latency
from gateway.layers.limit import Limit, kept_by_default
from gateway.layers.metered import Metered
from gateway.layers.passages import Passages
from gateway.layers.prepaid import Prepaid
from gateway.layers.record import Record
from gateway.layers.retry import Retry
from gateway.layers.savings import Savings
from gateway.layers.shorten import Shorten
from gateway.layers.single_flight import SingleFlight
from gateway.layers.text_alone import TextAlone
from gateway.layers.timeout import Timeout
from gateway.observing import UNOBSERVED, Observer
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from gateway.siblings import ALONE, Siblings
from gateway.tenants.metering import Meter, Metering

# To join parts and to go up through the layers again.
_PARTIAL_RESERVE_S = 0.01

_FIRST_TOKENS = 3.0
_MOST_TOKENS = 10.0
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0

_SLOW = 0.95
_REMEMBERED_CALLS = 200
_ENOUGH_CALLS = 20

_WINDOW_S = 30.0
_MIN_CALLS = 20
_LONGEST_COOLDOWN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One backend without its layers, and what they have to know of it."""

    scorers: tuple[Scorer, ...]
    """Equal servers; at least one."""
    facts: Facts
    scale: Scale
    listwise: bool
    """A document's score depends on its companions."""
    in_flight: int
    """Calls at once, to each server."""
    top_k: int
    """Documents to score where nobody says how many."""
    top_k_found: int
    """The same for documents that were found in a collection of ours."""
    max_tokens: int | None
    """In one pair; None: unknown, or any number."""
    cuts_pairs: bool
    """It reads only the beginning of a longer pair, and does not refuse it."""
    billing: Billing = CALLS
    """How its vendor counts."""
    remote: bool = True
    """It runs in another process."""
    asks_collection: bool = False
    """It judges documents also by what the collection says that they were found in."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all backends have in common."""

    memories: Memories
    chance: Random
    """For pauses and draws."""
    emit: Emit
    """Told what happens."""
    observer: Observer = UNOBSERVED
    """Watches what takes time."""
    wire: Callable[..., Wire] = lambda *_, **__: UNWATCHED
    """Watches the calls to an endpoint (`gateway.telemetry.running.Running.wire`)."""
    siblings: Siblings = ALONE
    """The processes that ask the same backends."""
    metering: Metering | None = None
    """Counts what tenants use; None: there are none."""


def stack(
    leaf: Leaf,
    *,
    name: str,
    settings: BackendSettings,
    around: Surroundings,
    meter: Meter | None = None,
) -> Scorer:
    """Put the layers around one backend, innermost first."""
    facts, emit, chance = leaf.facts, around.emit, around.chance
    memories = around.memories
    # Retries and hedges of one backend draw on one budget, of which each process has its
    # part, and at least one call.
    budget = Budget(
        share=settings.extra_calls,
        initial=max(_FIRST_TOKENS / around.siblings.count, 1.0),
        most=max(_MOST_TOKENS / around.siblings.count, 1.0),
    )
    # Each server has its own limit and its own circuit: one of them may be down.
    scorer: Scorer = Balance(
        tuple(
            _replica(
                leaf, place, name=name, settings=settings, around=around, meter=meter
            )
            for place in range(len(leaf.scorers))
        ),
        backend=name,
        chance=chance,
    )
    if len(leaf.scorers) > 1 or settings.hedge_after_s is not None:
        # Above Balance: the second attempt goes to another server. Above Limit and
        # Breaker: it takes a turn like any other, and an open circuit refuses it too.
        scorer = Hedge(
            scorer,
            backend=name,
            delay_s=settings.hedge_after_s,
            latency=Latency(
                quantile=_SLOW, last=_REMEMBERED_CALLS, enough=_ENOUGH_CALLS
            ),
            budget=budget,
            emit=emit,
        )
    # Above Hedge: one retry is one fresh pair of attempts.
    scorer = Retry(
        scorer,
        backend=name,
        most=settings.retries,
        pause_s=_PAUSE_S,
        longest_pause_s=_LONGEST_PAUSE_S,
        fair_s=settings.fair_s,
        budget=budget,
        chance=chance,
        emit=emit,
    )
    if leaf.max_tokens and not leaf.cuts_pairs:
        # Above Limit: asking again takes a turn like any other call. Above Retry: to
        # shorten is to ask something else, which has retries of its own; and they repeat
        # what was shortened, not what was refused.
        scorer = Shorten(scorer, max_tokens=leaf.max_tokens)
    # What takes any number of documents, as a model in this process, needs no chunks.
    if facts.max_documents and not leaf.listwise:
        # Above Shorten: only the chunk with the long document is asked again. Above
        # Retry and Hedge: only the failed or late chunk is. Above Limit: the chunks of
        # one request count as the calls that they are.
        scorer = Chunk(scorer, facts=facts, reserve_s=_PARTIAL_RESERVE_S)
        if meter:
            # Above Chunk: all parts of a request can be paid, or none is asked for. Below
            # Passages: each of these is a document that costs.
            scorer = Prepaid(scorer, facts=facts, meter=meter)
    if not leaf.listwise:
        # Above Chunk: passages count as the documents that they are for the backend.
        scorer = Passages(scorer)
    # Above Passages and Chunk: identical requests are split once for all who wait, and
    # share all of their chunks.
    scorer = SingleFlight(scorer, backend=name, fair_s=settings.fair_s, emit=emit)
    # Above SingleFlight: only what nobody remembers is shared. Above Passages: a document
    # is remembered as a whole. Above Breaker: what is remembered needs no backend. The
    # process's own memory above the shared one, which is asked only for what it lacks.
    for tier in memories.tiers:
        scorer = Cache(
            scorer,
            backend=name,
            memory=tier.memory,
            keys=memories.keys(name, settings, leaf.scale),
            ttl_s=memories.ttl_s,
            listwise=leaf.listwise,
            tier=tier.name,
            chance=chance,
            emit=emit,
        )
    if not leaf.listwise:
        # Above Cache: what is remembered may stand behind what did not come in time.
        scorer = Beginning(scorer)
    if not leaf.asks_collection:
        # Above Cache and SingleFlight: what is asked by text alone is the same whoever
        # asks. Below Depth: how many are asked may depend on where they were found.
        scorer = TextAlone(scorer)
    # What is not asked needs no layer, and whole sets are remembered as they
    # are asked. Only Beginning could as well stand above: no answer would be another one.
    bounded = leaf.listwise and facts.max_documents
    scorer = Depth(
        scorer,
        default=leaf.top_k,
        default_found=leaf.top_k_found,
        most=facts if bounded else None,
    )
    # Above Depth and Cache, as what they saved is what does not get below them.
    return Savings(scorer, meter=meter) if meter else scorer


def replica_name(leaf: Leaf, name: str, place: int) -> str:
    """Name one server of a backend: like the backend, if it is the only one."""
    return name if len(leaf.scorers) == 1 else f"{name}/{place + 1}"


def _replica(
    leaf: Leaf,
    place: int,
    *,
    name: str,
    settings: BackendSettings,
    around: Surroundings,
    meter: Meter | None,
) -> Replica:
    """Put the layers around one server, innermost first."""
    own_name = replica_name(leaf, name, place)

    def tell(event: Event) -> None:
        # Circuits are those of servers; all else is the backend's.
        around.emit(
            replace(event, backend=own_name)
            if isinstance(event, CircuitChanged)
            else event
        )

    circuit = Circuit(
        failures_in_row=settings.failures_in_a_row,
        failure_rate=settings.failure_share,
        window_s=_WINDOW_S,
        min_calls=_MIN_CALLS,
        cooldown_s=settings.cooldown_s,
        max_cooldown_s=max(_LONGEST_COOLDOWN_S, settings.cooldown_s),
    )
    # Innermost: it measures the backend and nothing else.
    scorer: Scorer = Timeout(
        leaf.scorers[place],
        backend=name,
        attempt_s=settings.timeout_s,
        fair_s=settings.fair_s,
    )
    # Above Timeout: a call that took too long is written down as one.
    scorer = Record(
        scorer,
        backend=name,
        remote=leaf.remote,
        facts=leaf.facts,
        emit=around.emit,
        observer=around.observer,
    )
    # Above Record: what was not asked is no call. So it is told by Timeout, too, that an
    # answer was late.
    scorer = Breaker(
        scorer, backend=name, circuit=circuit, fair_s=settings.fair_s, emit=tell
    )
    if meter:
        # Above Breaker: a tenant without means says nothing of the backend, and must not
        # close it to others. Below Limit: who gives up in our own queue has asked for
        # nothing, and pays for nothing. Below all that asks again or in parts: each of
        # these calls is billed.
        scorer = Metered(scorer, meter=meter)
    # Above Breaker: the circuit is consulted after waiting, and who gives up in our own
    # queue does not count against the backend. Above Timeout and Record: waiting for a
    # turn is not the backend's slowness.
    scorer = Limit(
        scorer,
        backend=name,
        in_flight=leaf.in_flight,
        queued=settings.max_queued,
        # Without tenants, who is a caller is only what callers say.
        kept_free=_kept_free(leaf, settings) if meter else 0,
    )
    return Replica(
        name=own_name,
        scorer=scorer,
        is_open=lambda: circuit.refusal(asyncio.get_running_loop().time()) is not None,
    )


def _kept_free(leaf: Leaf, settings: BackendSettings) -> int:
    kept = settings.kept_free
    return kept_by_default(leaf.in_flight) if kept is None else kept
