"""Build a backend that runs in this process."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.compose.built import Built, built, misconfigured
from gateway.compose.encoder import CannotOpen, bundled_encoder
from gateway.compose.stack import Leaf, Surroundings
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from gateway.settings.models import (
    DEFAULT_TOP_K,
    LOCAL_MAX_CACHE_BYTES,
    LOCAL_THREADS,
    LOCAL_TOP_K,
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A model that is loaded, and what the layers around it have to know."""

    scorer: Scorer
    close: Callable[[], None]
    model: str
    scale: Scale
    listwise: bool
    top_k: int
    max_tokens: int | None


async def local_backend(
    name: str, settings: BackendSettings, around: Surroundings, parts: AsyncExitStack
) -> Built:
    """Load its model and put the layers around it.

    Args:
        name: Its configured name.
        settings: Its configuration, which was checked.
        around: What all backends have in common.
        parts: Ends its threads.

    """
    threads = settings.threads or LOCAL_THREADS
    try:
        if settings.model:
            # Half a second at least, in which nothing else could start.
            opened = await asyncio.to_thread(
                _open_cross_encoder, name, settings, threads
            )
        else:
            opened = await _open_built_in(name, settings, threads)
    except ImportError as error:
        problem = f"{error.name} is missing: pip install 'rerank-gateway[local]'"
        return misconfigured(name, settings, problem)
    except CannotOpen as error:
        return misconfigured(name, settings, str(error))
    parts.callback(opened.close)
    leaf = Leaf(
        scorers=(opened.scorer,),
        facts=Facts(max_documents=0, model=opened.model, fixed=True),
        scale=opened.scale,
        listwise=opened.listwise,
        # More calls at once would only make all of them late.
        in_flight=settings.max_in_flight or threads,
        top_k=settings.top_k or opened.top_k,
        top_k_found=settings.top_k or DEFAULT_TOP_K,
        max_tokens=opened.max_tokens,
        cuts_pairs=True,
        remote=False,
        asks_collection=not settings.model,
    )
    return built(leaf, name=name, settings=settings, around=around)


async def _open_built_in(name: str, settings: BackendSettings, threads: int) -> _Opened:
    encoder = await bundled_encoder()
    from gateway.backends.local.scorer import LocalScorer

    scorer = LocalScorer(
        name=name,
        encoder=encoder,
        threads=threads,
        max_cache_bytes=(
            LOCAL_MAX_CACHE_BYTES
            if settings.max_cache_bytes is None
            else settings.max_cache_bytes
        ),
    )
    return _Opened(
        scorer=scorer,
        close=scorer.close,
        model=scorer.model,
        scale=Scale.RELATIVE,
        listwise=True,
        top_k=LOCAL_TOP_K,
        max_tokens=None,
    )


def _open_cross_encoder(name: str, settings: BackendSettings, threads: int) -> _Opened:
    from gateway.backends.local.cross_encoder import CrossEncoder
    from gateway.backends.local.inference import UnusableModel
    from gateway.backends.local.pointwise import CrossEncoderScorer

    try:
        model, directory = _located(settings)
        cross_encoder = CrossEncoder.load(directory, max_tokens=settings.max_tokens)
    except UnusableModel as error:
        raise CannotOpen(str(error)) from error
    scale = settings.scale or Scale.LOGIT
    scorer = CrossEncoderScorer(
        name=name, model=model, judge=cross_encoder, scale=scale, threads=threads
    )
    return _Opened(
        scorer=scorer,
        close=scorer.close,
        model=model,
        scale=scale,
        listwise=False,
        top_k=DEFAULT_TOP_K,
        max_tokens=cross_encoder.max_tokens,
    )


def _located(settings: BackendSettings) -> tuple[str, Path]:
    """Give what a model is called, and the directory that has its files."""
    if not settings.on_hub:
        directory = Path(settings.model).expanduser()
        return directory.resolve().name, directory
    from gateway.backends.local.hub import fetch, hub_name

    name = hub_name(settings.model, revision=settings.revision)
    return name, fetch(settings.model, revision=settings.revision)
