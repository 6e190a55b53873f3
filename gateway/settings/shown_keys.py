"""Which of our keys and passwords somebody on the way could read."""

from collections.abc import Iterator
from typing import Protocol
from urllib.parse import urlsplit

from gateway.settings.identity_checks import is_loopback
from gateway.settings.models import BackendSettings, CacheSettings, EmbedderSettings
from gateway.settings.retrieval import RetrievalSettings
from gateway.settings.tenants import LedgerSettings

_IN_THE_CLEAR = ("http", "grpc", "redis")


class _Parts(Protocol):
    """The sections that matter here."""

    @property
    def backends(self) -> dict[str, BackendSettings]: ...
    @property
    def embedder(self) -> EmbedderSettings: ...
    @property
    def retrieval(self) -> RetrievalSettings: ...
    @property
    def cache(self) -> CacheSettings: ...
    @property
    def ledger(self) -> LedgerSettings: ...


def shown_keys(settings: _Parts) -> Iterator[str]:
    """Say which keys go to other machines without TLS; the names of hosts are shown.

    Args:
        settings: With urls that can be taken apart.

    """
    for path, urls in _where_keys_go(settings):
        for place in dict.fromkeys(
            parts.netloc
            for parts in map(urlsplit, urls)
            if parts.scheme in _IN_THE_CLEAR and not is_loopback(parts.hostname or "")
        ):
            yield (
                f"the key of {path} goes to {place} in the clear, unless what lies"
                " between ends TLS"
            )


def _where_keys_go(settings: _Parts) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the urls of all that is shown a key, by the section that says so."""
    for name, backend in settings.backends.items():
        if backend.api_key_env or backend.api_key_file:
            yield f"backends.{name}", (backend.url, *backend.urls)
    embedder, cluster = settings.embedder, settings.retrieval
    if embedder.api_key_env or embedder.api_key_file:
        yield "embedder", (embedder.url,)
    if cluster.api_key_env or cluster.api_key_file:
        yield "retrieval", (*cluster.nodes, *(cluster.grpc_urls or cluster.nodes))
    for path, shared in (("cache", settings.cache), ("ledger", settings.ledger)):
        if shared.password_env:
            yield path, (shared.url,)
