"""The layers around one backend: which, in which order, and why."""

from dataclasses import dataclass

from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.events import Emit
from gateway.layers.chunk import Chunk
from gateway.layers.depth import Depth
from gateway.layers.limit import Limit
from gateway.layers.passages import Passages
from gateway.layers.record import Record
from gateway.layers.shorten import Shorten
from gateway.layers.timeout import Timeout
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings

# To join parts and to go up through the layers again.
_PARTIAL_RESERVE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One backend without its layers, and what they have to know of it."""

    scorer: Scorer
    facts: Facts
    scale: Scale
    listwise: bool
    """A document's score depends on its companions."""
    in_flight: int
    """Calls at once."""
    top_k: int
    """Documents to score where nobody says how many."""
    top_k_found: int
    """The same for documents that were found in a collection of ours."""
    max_tokens: int | None
    """In one pair; None: unknown, or any number."""
    cuts_pairs: bool
    """It reads only the beginning of a longer pair, and does not refuse it."""


def stack(leaf: Leaf, *, name: str, settings: BackendSettings, emit: Emit) -> Scorer:
    """Put the layers around one backend, innermost first."""
    facts = leaf.facts
    scorer: Scorer = Timeout(
        leaf.scorer, backend=name, attempt_s=settings.timeout_s, fair_s=settings.fair_s
    )
    # Above Timeout: a call that took too long is written down as one.
    scorer = Record(scorer, backend=name, facts=facts, emit=emit)
    # Above Timeout and Record: waiting for a turn is not the backend's slowness.
    scorer = Limit(
        scorer, backend=name, in_flight=leaf.in_flight, queued=settings.max_queued
    )
    if leaf.max_tokens and not leaf.cuts_pairs:
        # Above Limit: asking again takes a turn like any other call.
        scorer = Shorten(scorer, max_tokens=leaf.max_tokens)
    # What takes any number of documents, as a model in this process, needs no chunks.
    if facts.max_documents and not leaf.listwise:
        # Above Shorten: only the chunk with the long document is asked again. Above
        # Limit: the chunks of one request count as the calls that they are.
        scorer = Chunk(scorer, facts=facts, reserve_s=_PARTIAL_RESERVE_S)
    if not leaf.listwise:
        # Above Chunk: passages count as the documents that they are for the backend.
        scorer = Passages(scorer)
    # Outermost: what is not asked needs no layer. Above Passages: the caller counts
    # documents.
    bounded = leaf.listwise and facts.max_documents
    return Depth(
        scorer,
        default=leaf.top_k,
        default_found=leaf.top_k_found,
        most=facts if bounded else None,
    )
