"""Check what is configured of backends."""

import re
from collections.abc import Iterator

from gateway.backends.dialect import Traits
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.backends.endpoint import locate, locate_grpc
from gateway.ranking.normalize import Scale
from gateway.settings.models import (
    EMBEDDER,
    LOCAL,
    RETRIEVER,
    BackendSettings,
    Settings,
)

_REMOTE_ONLY = (
    "url",
    "urls",
    "api_key_env",
    "api_key_file",
    "max_documents",
    "listwise",
    "propagate",
)
_LOCAL_ONLY = ("threads", "max_cache_bytes", "max_tokens", "revision")
_CROSS_ENCODER_ONLY = ("scale", "max_tokens", "revision")
_BUILT_IN_ONLY = ("max_cache_bytes",)
_COMMIT = re.compile("[0-9a-f]{40}")


def backend_problems(settings: Settings) -> Iterator[str]:
    """Name every problem of a backend, with its path."""
    for name, backend in settings.backends.items():
        path = f"backends.{name}"
        if name in (RETRIEVER, EMBEDDER):
            yield f"{path}: is the name of a part of the gateway itself"
        most, kept = backend.max_in_flight, backend.kept_free
        if most and kept and kept >= most:
            yield f"{path}.kept_free: must be less than max_in_flight, {most}"
        if backend.dialect == LOCAL:
            yield from _local_problems(path, backend)
            continue
        for key in _LOCAL_ONLY:
            if key in backend.model_fields_set:
                yield f"{path}.{key}: only for the built-in scorer and local models"
        dialect = DIALECTS.get(backend.dialect) or GRPC_DIALECTS.get(backend.dialect)
        if dialect is None:
            known = ", ".join([*DIALECTS, *GRPC_DIALECTS, LOCAL])
            yield f"{path}.dialect: must be one of {known}"
            continue
        yield from _remote_problems(path, backend, dialect)


def _local_problems(path: str, backend: BackendSettings) -> Iterator[str]:
    which = "a local model" if backend.model else "the built-in scorer"
    others = _BUILT_IN_ONLY if backend.model else _CROSS_ENCODER_ONLY
    for key in (*_REMOTE_ONLY, *others):
        if key in backend.model_fields_set:
            yield f"{path}.{key}: {which} has no such setting"
    if backend.scale in (Scale.COSINE, Scale.RELATIVE):
        yield f"{path}.scale: must be logit, or probability if the graph goes on to it"
    if backend.model and not backend.on_hub and backend.revision:
        yield f"{path}.revision: is for OWNER/NAME on the hub, and a directory has none"
    if backend.on_hub and not backend.revision:
        yield (
            f"{path}.revision: is required for a model on the hub: the 40 hex digits of"
            " a commit (if the model is a directory, write it with ./ in front)"
        )
    if backend.on_hub and backend.revision and not _COMMIT.fullmatch(backend.revision):
        yield (
            f"{path}.revision: must be the 40 hex digits of a commit, since a branch or"
            " a tag may move"
        )


def _remote_problems(
    path: str, backend: BackendSettings, dialect: Traits
) -> Iterator[str]:
    yield from _url_problems(path, backend, dialect)
    if dialect.scale is None and backend.scale is None:
        yield (
            f"{path}.scale: is required, since {backend.dialect} passes on whatever the"
            " model gives: logit, probability, cosine or relative"
        )
    if dialect.scale and backend.scale not in (None, dialect.scale):
        yield f"{path}.scale: {backend.dialect} always gives {dialect.scale}"
    if dialect.needs_model and not backend.model:
        yield f"{path}.model: is required by {backend.dialect}"
    if backend.api_key_env and backend.api_key_file:
        yield f"{path}.api_key_file: the key is in api_key_env already"


def _url_problems(
    path: str, backend: BackendSettings, dialect: Traits
) -> Iterator[str]:
    http = DIALECTS.get(backend.dialect)
    if backend.url and backend.urls:
        yield f"{path}.urls: there is a url already"
    if len(set(backend.urls)) < len(backend.urls):
        yield f"{path}.urls: one of them is there twice"
    places = {f"{path}.urls.{place}": url for place, url in enumerate(backend.urls)}
    if url := backend.url or ("" if backend.urls else dialect.home):
        places[f"{path}.url"] = url
    if not places:
        example = "http://localhost:8081" if http else "grpc://localhost:8082"
        yield f"{path}.url: is required, such as {example}"
    for place, url in places.items():
        try:
            if http:
                locate(url, http.path)
            else:
                locate_grpc(url)
        except ValueError as error:
            yield f"{place}: {error}"
