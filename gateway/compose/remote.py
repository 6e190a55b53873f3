"""What backends in other processes have in common, however they are spoken to."""

from gateway.backends.dialect import Traits
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.compose.stack import Leaf
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from gateway.settings.models import DEFAULT_TOP_K


def facts_of(settings: BackendSettings, traits: Traits) -> Facts:
    """Say what is known before the backend tells about itself."""
    return Facts(
        max_documents=settings.max_documents or traits.max_documents,
        model=settings.model,
        fixed=settings.max_documents is not None,
    )


def urls_of(settings: BackendSettings, traits: Traits) -> tuple[str, ...]:
    """Name its servers."""
    return settings.urls or (settings.url or traits.home,)


def credentials_of(settings: BackendSettings, traits: Traits) -> dict[str, str]:
    """Spell its key, if it has one."""
    key = settings.api_key
    return traits.credentials(key.get_secret_value()) if key else {}


def scale_of(settings: BackendSettings, traits: Traits) -> Scale:
    """Say what its numbers are."""
    scale = traits.scale or settings.scale
    if scale is None:  # the settings were checked for it
        raise AssertionError(settings.dialect)
    return scale


def propagates(settings: BackendSettings, traits: Traits) -> bool:
    """Say whether it takes part in our traces.

    A vendor has no use for our ids; who runs a server of their own may want to see its
    part of a trace.
    """
    return not traits.home if settings.propagate is None else settings.propagate


def remote_leaf(
    scorers: tuple[Scorer, ...],
    *,
    settings: BackendSettings,
    traits: Traits,
    facts: Facts,
) -> Leaf:
    """Say what the layers have to know of it.

    Args:
        scorers: One for each server.
        settings: Its configuration, which was checked.
        traits: What its vendor does.
        facts: What is known about it.

    """
    return Leaf(
        scorers=scorers,
        facts=facts,
        scale=scale_of(settings, traits),
        listwise=settings.listwise or traits.listwise(settings.model),
        in_flight=settings.max_in_flight or traits.max_in_flight,
        top_k=settings.top_k or DEFAULT_TOP_K,
        top_k_found=settings.top_k or DEFAULT_TOP_K,
        max_tokens=traits.max_tokens,
        cuts_pairs=False,
        billing=traits.billing,
    )
