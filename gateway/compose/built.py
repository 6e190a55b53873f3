"""What building one backend gives: its stack, and what can be told about it."""

from dataclasses import dataclass

from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.backends.facts import Facts
from gateway.backends.misconfigured import MisconfiguredScorer
from gateway.backends.scorer import Scorer
from gateway.compose.metering import meter
from gateway.compose.stack import Leaf, Surroundings, replica_name, stack
from gateway.inspecting import Configured
from gateway.layers.metered import Metered
from gateway.layers.timeout import Timeout
from gateway.settings import BackendSettings
from gateway.settings.models import DEFAULT_TOP_K


@dataclass(frozen=True, slots=True)
class Built:
    """One backend, ready to be part of routes."""

    scorer: Scorer
    """With all its layers."""
    configured: Configured
    """What operators may know of it."""
    top_k_found: int
    """Documents of a search that it scores where nobody says how many."""


def built(
    leaf: Leaf, *, name: str, settings: BackendSettings, around: Surroundings
) -> Built:
    """Put the layers around a backend, and tell what is configured."""
    probe: Scorer = Timeout(
        leaf.scorers[0],
        backend=name,
        attempt_s=settings.timeout_s,
        fair_s=settings.fair_s,
    )
    counted = None
    if around.metering:
        counted = meter(around.metering, leaf, name=name, settings=settings)
        # Whether a backend works is asked of it by a call like any other.
        probe = Metered(probe, meter=counted)
    configured = Configured(
        name=name,
        dialect=settings.dialect,
        scale=leaf.scale,
        facts=leaf.facts,
        probe=probe,
        listwise=leaf.listwise,
        default_top_k=leaf.top_k,
        min_score=settings.min_score,
        max_tokens=leaf.max_tokens or 0,
        max_in_flight=leaf.in_flight,
        max_queued=settings.max_queued,
        timeout_s=settings.timeout_s,
        replicas=tuple(
            replica_name(leaf, name, place) for place in range(len(leaf.scorers))
        ),
    )
    return Built(
        stack(leaf, name=name, settings=settings, around=around, meter=counted),
        configured,
        top_k_found=leaf.top_k_found,
    )


def misconfigured(name: str, settings: BackendSettings, problem: str) -> Built:
    """Stand in for a backend that cannot be asked."""
    scorer = MisconfiguredScorer(name=name, problem=problem)
    dialect = DIALECTS.get(settings.dialect) or GRPC_DIALECTS.get(settings.dialect)
    configured = Configured(
        name=name,
        dialect=settings.dialect,
        scale=settings.scale or (dialect.scale if dialect else None),
        facts=Facts(max_documents=0, model=settings.model, fixed=True),
        probe=scorer,
        listwise=settings.listwise,
        default_top_k=settings.top_k or 0,
        min_score=settings.min_score,
        max_tokens=0,
        max_in_flight=0,
        max_queued=settings.max_queued,
        timeout_s=settings.timeout_s,
        replicas=(),
        problem=problem,
    )
    return Built(scorer, configured, top_k_found=settings.top_k or DEFAULT_TOP_K)
