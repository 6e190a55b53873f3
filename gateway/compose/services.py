"""What operators may know of the parts that stage 1 of a search uses."""

from collections.abc import Awaitable, Callable

from gateway.backends.errors import Misconfigured, Unavailable
from gateway.backends.in_time import in_time
from gateway.inspecting import Service, ServiceKind
from gateway.retrieval.embedder import Asking, Embedder, Purpose, asking
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.retriever import Retriever
from gateway.settings import Settings
from gateway.settings.models import EMBEDDER, NO_ENGINE, RETRIEVER

_PROBE = "what is panda?"


def services(
    settings: Settings, *, retriever: Retriever, embedder: Embedder | None
) -> dict[str, Service]:
    """Describe them, by name; what is switched off is not among them."""
    found = {}
    if settings.retrieval.engine != NO_ENGINE:
        found[RETRIEVER] = Service(
            name=RETRIEVER,
            kind=ServiceKind.RETRIEVER,
            dialect=settings.retrieval.engine,
            model="",
            timeout_s=settings.retrieval.timeout_s,
            probe=_engine_probe(retriever, settings.retrieval.timeout_s),
        )
    if embedder is not None:
        found[EMBEDDER] = Service(
            name=EMBEDDER,
            kind=ServiceKind.EMBEDDER,
            dialect=settings.embedder.dialect,
            model=settings.embedder.model,
            timeout_s=settings.embedder.timeout_s,
            probe=_embedder_probe(embedder),
        )
    return found


def _engine_probe(
    retriever: Retriever, timeout_s: float
) -> Callable[[float], Awaitable[str]]:
    async def probe(deadline: float) -> str:
        try:
            await in_time(
                retriever.collections,
                deadline=deadline,
                backend=RETRIEVER,
                attempt_s=timeout_s,
                fair_s=0.0,
            )
        except RetrieverError as error:
            kind = Unavailable if error.transient else Misconfigured
            raise kind(RETRIEVER, str(error)) from error
        return ""

    return probe


def _embedder_probe(embedder: Embedder) -> Callable[[float], Awaitable[str]]:
    async def probe(deadline: float) -> str:
        before = asking.get()
        asking.set(Asking(is_probe=True))
        try:
            # As a document, since queries are remembered.
            found = await embedder.embed(
                [_PROBE], purpose=Purpose.DOCUMENT, deadline=deadline
            )
        finally:
            asking.set(before)
        return found.model

    return probe
