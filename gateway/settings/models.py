"""Every setting: its type, its range, its default, and what it does."""

import os
import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from gateway.ranking.normalize import Scale
from gateway.settings.client import ClientSettings
from gateway.settings.http import HttpSettings
from gateway.settings.identity import IdentitySettings, Name, TlsSettings
from gateway.settings.retrieval import RetrievalSettings
from gateway.settings.section import MIB, Count, Seconds, Section, Share
from gateway.settings.server import ServerSettings
from gateway.settings.telemetry import LogSettings, TelemetrySettings
from gateway.settings.tenants import (
    LedgerSettings,
    PriceSettings,
    TenantName,
    TenantSettings,
)

LOCAL = "local"
"""The dialect of what runs in this process, and the name of the built-in scorer."""

RETRIEVER = "retrieval"
EMBEDDER = "embedder"
"""What stage 1 is called where backends are listed; no backend may be called so."""

NO_EMBEDDER = "none"
"""The dialect of an embedder that is none."""

NO_ENGINE = "none"
"""The engine that is none: only Rerank is served."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)


class RouteSettings(Section):
    """One way of reranking, which callers choose by its name."""

    backends: Annotated[tuple[Name, ...], Field(min_length=1)] = (LOCAL,)
    """Tried in this order; after the last one, the caller's own order stands."""
    top_k: Count | None = None
    """Documents to score where the request does not say; unset: the backend's."""
    timeout_s: Seconds = 30.0
    min_score: Share | None = None
    """Threshold where neither the request nor the backend has one; unset: none."""
    enabled: bool = True
    """Whether a Search that does not say reranks."""
    cache_ttl_s: Seconds | None = None
    """Use only remembered scores that are younger; unset: as long as they are kept."""
    fusion: Literal["rrf", "zscore"] = "rrf"
    """How a Search that does not say joins its two legs."""
    adaptive_weights: bool = False
    """Weigh the legs of a Search by the length of the query, where it does not say."""
    long_documents: Literal["truncate", "max_passage"] = "truncate"
    """`max_passage`: split, and score by the best passage; for pointwise models."""
    max_passages: Annotated[int, Field(ge=1, le=1000)] = 8
    """Of one document, where they are split."""
    share_cache: bool = False
    """Whether tenants share what is remembered of its scores. What one of them asked is never
    shown to another, but how fast an answer comes tells that somebody asked the same."""
    on_deadline: Literal["fail", "partial"] = "fail"
    """`partial`: if a request had to be split and its time is over with the first parts
    scored, these are ranked, and the rest stands below in its own order."""


class CacheSettings(Section):
    """How long scores are remembered, and where."""

    ttl_s: Seconds = 300.0
    """How long a score is remembered, give or take a tenth, so that not all of them are
    forgotten together."""
    max_bytes: Annotated[int, Field(ge=0)] = 64 * MIB
    """In memory, of all workers together, of which each has its own part and knows nothing
    of the others'; 0 remembers nothing."""
    max_answer_bytes: Annotated[int, Field(ge=0)] = 16 * MIB
    """The same of whole answers that can be given again as they are; 0 remembers none."""
    url: str = ""
    """Of a Redis or Valkey that several gateways share: redis://HOST:PORT/DB or
    rediss://…; unset: none."""
    password_env: str = ""
    """Name of the environment variable that holds its password."""
    key_env: str = ""
    """Name of the environment variable that holds the secret which all of these gateways
    name scores with; required with `url`."""
    timeout_s: Seconds = 0.005
    """How long the shared memory may take to answer."""

    key: SecretStr | None = Field(default=None, exclude=True)
    """The secret itself: read from its place, never from the configuration."""
    password: SecretStr | None = Field(default=None, exclude=True)
    """Likewise."""
    problem: str = ""
    """Why nothing is shared although it is configured correctly."""


class EmbedderSettings(Section):
    """Who makes vectors of documents and of queries."""

    dialect: str = LOCAL
    """`local`: the built-in model; `none`: full-text search only, unless callers bring
    vectors; else a vendor."""
    url: str = ""
    """Base url or full endpoint; unset: the vendor's own, where there is one."""
    model: str = ""
    """As the vendor calls it."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key."""
    api_key_file: str = ""
    """Path of a file that holds the key."""
    timeout_s: Seconds = 10.0
    """For one call."""
    fair_s: Seconds = 0.5
    """A call that was ended sooner than this does not blame the backend."""
    import_timeout_s: Seconds = 120.0
    """For all documents of one batch of an import."""
    dimension: Annotated[int, Field(ge=1, le=8192)] | None = None
    """What every vector must have; unset: what the first one has."""
    max_texts: Count | None = None
    """In one call; unset: what the backend tells, else the dialect's."""
    max_in_flight: Count | None = None
    """Calls at once for one batch; unset: the dialect's."""
    threads: Count | None = None
    """Local only: CPU threads, of all workers together; unset: one per core, at most 4 in
    each worker."""
    max_cache_bytes: Annotated[int, Field(ge=0)] = 16 * MIB
    """For remembered vectors of queries, about 2 KB each; of all workers together."""
    cache_ttl_s: Seconds = 3600.0
    """How long the vector of a query is remembered."""
    propagate: bool | None = None
    """As of a backend; unset: where it has neither a vendor's address nor a key."""
    price: PriceSettings | None = None
    """What it costs; unset: nobody knows."""

    api_key: SecretStr | None = Field(default=None, exclude=True)
    """The key itself: read from its place, never from the configuration."""
    problem: str = ""
    """Why it cannot be asked although it is configured correctly."""


class BackendSettings(Section):
    """One reranker."""

    dialect: str
    """How it is spoken to: a vendor, or `local` for what runs in this process."""
    url: str = ""
    """Base url or full endpoint; unset: the vendor's own, where there is one. Of gRPC:
    grpc://HOST:PORT, or grpcs:// over TLS."""
    urls: tuple[str, ...] = ()
    """Instead of `url`: equal servers, each call goes to the one that is less busy."""
    model: str = ""
    """As the vendor calls it. Local: an ONNX cross-encoder, either `OWNER/NAME` on the
    Hugging Face hub or a directory (a relative one as `./NAME`); unset: the built-in
    scorer."""
    revision: str = ""
    """Local only: which commit of a model on the hub; required there, since a branch or
    a tag may move under a running fleet."""
    scale: Scale | None = None
    """What the model's numbers are; required where the dialect does not fix it. A local
    model: unset is logit."""
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    """Local only: tokens of query and document together, beyond which a cross-encoder
    cuts; unset: what the model takes, or 512 where it does not say."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key."""
    api_key_file: str = ""
    """Path of a file that holds the key."""
    timeout_s: Seconds = 10.0
    """For one attempt."""
    fair_s: Seconds = 0.5
    """An attempt that its caller ended sooner than this does not blame the backend."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """Calls made again after a failure that may pass."""
    hedge_after_s: Seconds | None = None
    """A second call goes out when the first one has taken so long; unset: longer than 95
    of 100 calls, where there are several `urls`, else never."""
    extra_calls: Share = 0.1
    """Retries and hedges, as a share of all calls, at most."""
    failures_in_a_row: Count = 5
    """So many, and it is not asked for a while."""
    failure_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The same where so many of the last calls failed."""
    cooldown_s: Seconds = 5.0
    """How long it is not asked then; longer each time it fails again, a minute at most."""
    max_documents: Count | None = None
    """In one call; unset: what the backend tells, else the dialect's."""
    max_in_flight: Count | None = None
    """Calls at once, of all workers together; unset: the dialect's."""
    max_queued: Annotated[int, Field(ge=0)] = 256
    """Calls that may wait for their turn, likewise."""
    kept_free: Annotated[int, Field(ge=0)] | None = None
    """Of the calls at once, likewise: for tenants who hold less than an even part of them.
    Unset: an eighth, rounded up, and none of a single one."""
    listwise: bool = False
    """The score of a document depends on its companions: never split a request."""
    top_k: Count | None = None
    """Documents to score where neither request nor route says; unset: 100, or 20 for
    the built-in scorer where it has to encode them."""
    min_score: Share | None = None
    """Replaces the route's for what this backend scores."""
    threads: Count | None = None
    """Local only: CPU threads, of all workers together; unset: one per core, at most 4 in
    each worker."""
    max_cache_bytes: Annotated[int, Field(ge=0)] | None = None
    """Local only: for remembered encodings, about 120 KB a document, of all workers
    together; unset: 256 MiB."""

    propagate: bool | None = None
    """Whether traces go on in it, by the header `traceparent`; unset: where its operator
    runs it, and not with a vendor."""

    price: PriceSettings | None = None
    """What it costs; unset: nobody knows."""

    api_key: SecretStr | None = Field(default=None, exclude=True)
    """The key itself: read from its place, never from the configuration."""
    problem: str = ""
    """Why the backend cannot be asked although it is configured correctly."""

    @property
    def on_hub(self) -> bool:
        """Whether the model of a local backend is one of the Hugging Face hub.

        Told from the spelling alone, so that a configuration means the same everywhere.
        """
        return _HUB_ID.fullmatch(self.model) is not None


DEFAULT_TOP_K = 100
LOCAL_TOP_K = 20
LOCAL_THREADS_AT_MOST = 4
LOCAL_THREADS = min(os.cpu_count() or 1, LOCAL_THREADS_AT_MOST)
LOCAL_MAX_CACHE_BYTES = 256 * MIB


class Settings(Section):
    """The whole configuration; without any, the built-in scorer serves."""

    server: ServerSettings = ServerSettings()
    http: HttpSettings = HttpSettings()
    tls: TlsSettings = TlsSettings()
    identity: IdentitySettings = IdentitySettings()
    client: ClientSettings = ClientSettings()
    routes: dict[Name, RouteSettings] = Field(default_factory=dict)
    backends: dict[Name, BackendSettings] = Field(default_factory=dict)
    cache: CacheSettings = CacheSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    logs: LogSettings = LogSettings()
    tenants: dict[TenantName, TenantSettings] = Field(default_factory=dict)
    ledger: LedgerSettings = LedgerSettings()

    @property
    def private(self) -> "Settings":
        """The same for whoever started it alone: on loopback, and nothing beside gRPC."""
        return self.model_copy(
            update={
                "server": self.server.model_copy(update={"address": "127.0.0.1:0"}),
                "http": HttpSettings(),
                "tls": TlsSettings(),
                "identity": IdentitySettings(),
                "telemetry": self.telemetry.model_copy(update={"metrics_address": ""}),
            }
        )

    @property
    def reranking_only(self) -> "Settings":
        """The same without collections, which take seconds to open."""
        return self.model_copy(
            update={
                "retrieval": self.retrieval.model_copy(update={"engine": NO_ENGINE}),
                "embedder": self.embedder.model_copy(update={"dialect": NO_EMBEDDER}),
            }
        )
