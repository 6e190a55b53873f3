"""Build the embedder and the layers around it."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gateway.backends.endpoint import locate
from gateway.backends.facts import Facts
from gateway.backends.transport import Pool
from gateway.compose.encoder import CannotOpen, bundled_encoder
from gateway.compose.metering import embedder_meter
from gateway.compose.stack import Surroundings
from gateway.concurrency import in_the_background
from gateway.discovery import Discovery, over_http
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.embedders import DIALECTS
from gateway.retrieval.embedders.refusing import RefusingEmbedder
from gateway.settings import LOCAL, EmbedderSettings
from gateway.settings.models import EMBEDDER, LOCAL_THREADS, NO_EMBEDDER

if TYPE_CHECKING:
    from gateway.retrieval.embedders.dialect import Dialect


async def embedder(
    settings: EmbedderSettings, around: Surroundings, parts: AsyncExitStack
) -> Embedder | None:
    """Put the layers around what makes vectors; None: only callers bring vectors.

    Args:
        settings: Its configuration, which was checked.
        around: What all backends have in common.
        parts: Ends what is begun here.

    """
    if settings.dialect == NO_EMBEDDER:
        return None
    if settings.problem:
        return RefusingEmbedder(name=EMBEDDER, problem=settings.problem)
    try:
        # The base install has no numpy, which they all need.
        from gateway.retrieval.embedders.batch import Batch
        from gateway.retrieval.embedders.metered import Metered, Prepaid
        from gateway.retrieval.embedders.record import Record
        from gateway.retrieval.embedders.remember import Remember
        from gateway.retrieval.embedders.timeout import Timeout

        if settings.dialect == LOCAL:
            leaf, facts, in_flight = await _local(settings, parts)
        else:
            dialect = DIALECTS[settings.dialect]
            leaf, facts, in_flight = await _http(settings, dialect, around, parts)
    except CannotOpen as error:
        return RefusingEmbedder(name=EMBEDDER, problem=str(error))
    except ImportError as error:
        problem = f"{error.name} is missing: pip install 'rerank-gateway[embedded]'"
        return RefusingEmbedder(name=EMBEDDER, problem=problem)
    made: Embedder = Timeout(
        leaf, backend=EMBEDDER, attempt_s=settings.timeout_s, fair_s=settings.fair_s
    )
    # Above Timeout: a call that took too long is reported as one.
    made = Record(
        made,
        backend=EMBEDDER,
        remote=settings.dialect != LOCAL,
        observer=around.observer,
    )
    meter = around.metering and embedder_meter(around.metering, settings)
    if meter:
        # Above Record: what cannot be paid is no call. Below Batch: each one is billed.
        made = Metered(made, meter=meter)
    # Above Timeout: each batch has the whole limit.
    made = Batch(made, backend=EMBEDDER, facts=facts, in_flight=in_flight)
    if meter:
        # Above Batch: all parts can be paid, or none is asked for.
        made = Prepaid(made, facts=facts, meter=meter)
    # Outermost: what is remembered is asked of nobody.
    return Remember(
        made, max_bytes=settings.max_cache_bytes, ttl_s=settings.cache_ttl_s
    )


async def _local(
    settings: EmbedderSettings, parts: AsyncExitStack
) -> tuple[Embedder, Facts, int]:
    encoder = await bundled_encoder()
    from gateway.retrieval.embedders.local import LocalEmbedder

    threads = settings.threads or LOCAL_THREADS
    leaf = LocalEmbedder(name=EMBEDDER, encoder=encoder, threads=threads)
    parts.callback(leaf.close)
    # Batches as small as the threads keep a query from waiting behind an import.
    facts = Facts(max_documents=4 * threads, model=leaf.model, fixed=True)
    return leaf, facts, 1


async def _http(
    settings: EmbedderSettings,
    dialect: "Dialect",
    around: Surroundings,
    parts: AsyncExitStack,
) -> tuple[Embedder, Facts, int]:
    from gateway.retrieval.embedders.http import HttpEmbedder

    endpoint = locate(settings.url or dialect.home, dialect.path)
    facts = Facts(
        max_documents=settings.max_texts or dialect.max_texts,
        model=settings.model,
        fixed=settings.max_texts is not None,
    )
    transport = Pool()
    parts.push_async_callback(transport.aclose)
    key = settings.api_key
    headers = dialect.credentials(key.get_secret_value()) if key else {}
    if dialect.info:
        discovery = Discovery(
            backend=EMBEDDER,
            ask=over_http(
                dialect.info,
                base_url=endpoint.base,
                headers=headers,
                transport=transport,
            ),
            facts=facts,
            emit=around.emit,
        )
        await parts.enter_async_context(in_the_background(discovery.run()))
    # Whoever wants a key may be a vendor, who has no use for our ids.
    propagate = settings.propagate
    if propagate is None:
        propagate = not (dialect.home or key)
    leaf = HttpEmbedder(
        name=EMBEDDER,
        dialect=dialect,
        url=endpoint.rerank,
        headers=headers,
        transport=transport,
        facts=facts,
        model=settings.model,
        dimension=settings.dimension,
        wire=around.wire(endpoint.rerank, propagate=propagate),
    )
    return leaf, facts, settings.max_in_flight or dialect.max_in_flight
