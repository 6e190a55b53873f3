"""What can be wrong with the parts beside the backends: engine, embedder, shared memory."""

from collections.abc import Iterator

from gateway.backends.endpoint import locate
from gateway.retrieval.embedders import DIALECTS as EMBEDDERS
from gateway.retrieval.qdrant.place import locate as locate_qdrant
from gateway.settings.models import (
    LOCAL,
    NO_EMBEDDER,
    CacheSettings,
    EmbedderSettings,
)
from gateway.settings.retrieval import EMBEDDED, QDRANT, RetrievalSettings

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

_OF_ENGINES = {
    EMBEDDED: ("path", "vector_index_from", "tidy_every_s", "keep_versions_s"),
    QDRANT: (
        "url",
        "api_key_env",
        "api_key_file",
        "prefix",
        "shard_number",
        "replication_factor",
        "write_consistency_factor",
        "read_consistency",
        "mean_terms",
    ),
}


def retrieval_problems(retrieval: RetrievalSettings) -> Iterator[str]:
    """Name every problem of the engine, with its path."""
    path, given = "retrieval", retrieval.model_fields_set
    for engine, keys in _OF_ENGINES.items():
        for key in keys:
            if key in given and retrieval.engine != engine:
                yield f"{path}.{key}: only for the engine {engine}"
    if retrieval.engine != QDRANT:
        return
    if not retrieval.url:
        yield f"{path}.url: is required, such as http://localhost:6334"
    else:
        try:
            locate_qdrant(retrieval.url)
        except ValueError as error:
            yield f"{path}.url: {error}"
    if retrieval.api_key_env and retrieval.api_key_file:
        yield f"{path}.api_key_file: the key is in api_key_env already"
    copies, needed = retrieval.replication_factor, retrieval.write_consistency_factor
    if copies and needed and needed > copies:
        yield f"{path}.write_consistency_factor: there are only {copies} copies"


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
