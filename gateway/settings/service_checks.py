"""What can be wrong with the parts beside the backends: engine, embedder, shared memory."""

import re
from collections.abc import Iterator

from gateway.backends.endpoint import locate
from gateway.retrieval.embedders import DIALECTS as EMBEDDERS
from gateway.retrieval.qdrant.place import locate as locate_qdrant
from gateway.retrieval.weaviate.place import locate_grpc, locate_rest
from gateway.settings.models import (
    LOCAL,
    NO_EMBEDDER,
    CacheSettings,
    EmbedderSettings,
)
from gateway.settings.retrieval import (
    EMBEDDED,
    QDRANT,
    WEAVIATE,
    RetrievalSettings,
)

_EMBEDDER_HTTP_ONLY = (
    "url",
    "urls",
    "model",
    "api_key_env",
    "api_key_file",
    "dimension",
    "max_texts",
    "max_in_flight",
    "propagate",
)

_ALL_CLUSTERS = (QDRANT, WEAVIATE)
_ENGINES_OF = {
    "path": (EMBEDDED,),
    "vector_index_from": (EMBEDDED,),
    "tidy_every_s": (EMBEDDED,),
    "keep_versions_s": (EMBEDDED,),
    "url": _ALL_CLUSTERS,
    "urls": (WEAVIATE,),
    "grpc_urls": (WEAVIATE,),
    "api_key_env": _ALL_CLUSTERS,
    "api_key_file": _ALL_CLUSTERS,
    "prefix": _ALL_CLUSTERS,
    "shard_number": _ALL_CLUSTERS,
    "replication_factor": _ALL_CLUSTERS,
    "write_consistency_factor": (QDRANT,),
    "read_consistency": (QDRANT,),
    "mean_terms": (QDRANT,),
}
"""By setting: the engines that know it."""

_PREFIX = re.compile(r"([A-Z][A-Za-z0-9_]*)?")


def retrieval_problems(retrieval: RetrievalSettings) -> Iterator[str]:
    """Name every problem of the engine, with its path."""
    path, given = "retrieval", retrieval.model_fields_set
    for key, engines in _ENGINES_OF.items():
        if key in given and retrieval.engine not in engines:
            yield f"{path}.{key}: only for the engine {' or '.join(engines)}"
    if retrieval.engine not in _ALL_CLUSTERS:
        return
    if retrieval.engine == QDRANT:
        yield from _qdrant_problems(path, retrieval)
    else:
        yield from _weaviate_problems(path, retrieval)
    if retrieval.api_key_env and retrieval.api_key_file:
        yield f"{path}.api_key_file: the key is in api_key_env already"


def _qdrant_problems(path: str, retrieval: RetrievalSettings) -> Iterator[str]:
    if not retrieval.url:
        yield f"{path}.url: is required, such as http://localhost:6334"
    else:
        try:
            locate_qdrant(retrieval.url)
        except ValueError as error:
            yield f"{path}.url: {error}"
    copies, needed = retrieval.replication_factor, retrieval.write_consistency_factor
    if copies and needed and needed > copies:
        yield f"{path}.write_consistency_factor: there are only {copies} copies"


def _weaviate_problems(path: str, retrieval: RetrievalSettings) -> Iterator[str]:
    if retrieval.url and retrieval.urls:
        yield f"{path}.urls: there is a url already"
    if not (retrieval.url or retrieval.urls):
        yield f"{path}.url: is required, such as http://localhost:8080"
    given = {f"{path}.url": retrieval.url} if retrieval.url else {}
    for key in ("urls", "grpc_urls"):
        urls = getattr(retrieval, key)
        if len(set(urls)) < len(urls):
            yield f"{path}.{key}: one of them is there twice"
        given |= {f"{path}.{key}.{place}": url for place, url in enumerate(urls)}
    for place, url in given.items():
        try:
            (locate_grpc if "grpc" in place else locate_rest)(url)
        except ValueError as error:
            yield f"{place}: {error}"
    count = len(retrieval.nodes)
    if retrieval.grpc_urls and len(retrieval.grpc_urls) != count:
        yield f"{path}.grpc_urls: must be as many as there are nodes, {count}"
    if not _PREFIX.fullmatch(retrieval.prefix):
        yield f"{path}.prefix: must begin with a capital letter, and have no hyphen"


def embedder_problems(embedder: EmbedderSettings) -> Iterator[str]:
    """Name every problem of an embedder, with its path."""
    path, given = "embedder", embedder.model_fields_set
    if embedder.dialect in (LOCAL, NO_EMBEDDER):
        for key in _EMBEDDER_HTTP_ONLY:
            if key in given:
                yield f"{path}.{key}: only for an embedder behind HTTP"
        return
    dialect = EMBEDDERS.get(embedder.dialect)
    if dialect is None:
        known = ", ".join([*EMBEDDERS, LOCAL, NO_EMBEDDER])
        yield f"{path}.dialect: must be one of {known}"
        return
    if "threads" in given:
        yield f"{path}.threads: only for the built-in model"
    url = embedder.url or dialect.home
    if not url:
        yield f"{path}.url: is required, such as http://localhost:8082"
    else:
        try:
            locate(url, dialect.path)
        except ValueError as error:
            yield f"{path}.url: {error}"
    if dialect.needs_model and not embedder.model:
        yield f"{path}.model: is required by {embedder.dialect}"
    if embedder.api_key_env and embedder.api_key_file:
        yield f"{path}.api_key_file: the key is in api_key_env already"


def cache_problems(cache: CacheSettings) -> Iterator[str]:
    """Name every problem of the memory of scores, with its path."""
    if not cache.url:
        for key in ("password_env", "key_env"):
            if getattr(cache, key):
                yield f"cache.{key}: only for a memory that gateways share (cache.url)"
        return
    if not cache.url.startswith(("redis://", "rediss://", "unix://")):
        yield "cache.url: must begin with redis:// or rediss://"
    if "@" in cache.url:
        yield "cache.url: must have no password; name its variable in password_env"
    if not cache.key_env:
        yield "cache.key_env: is required with cache.url, the same for all gateways"
