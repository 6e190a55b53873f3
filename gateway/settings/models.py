"""Every setting: its type, its range, its default, and what it does."""

import os
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.ranking.normalize import Scale

LOCAL = "local"
"""The dialect of what runs in this process, and the name of the built-in scorer."""

_MIB = 1024 * 1024
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(_Section):
    """What the process listens on, and how much it takes."""

    address: str = "127.0.0.1:50051"
    """HOST:PORT; loopback only by default. Port 0 takes a free one."""
    grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long calls in flight may go on after SIGTERM."""
    max_message_bytes: Count = 32 * _MIB
    """The largest message, in either direction."""
    max_documents: Count = 1000
    """In one request."""
    max_document_bytes: Count = _MIB
    """Title and text of one document, in UTF-8."""
    max_query_bytes: Count = 32 * 1024
    reserve_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """How much of a caller's deadline is kept back, so that the answer is in time."""
    reserve_least_s: Annotated[float, Field(ge=0, le=60)] = 0.02
    """The same, at least."""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Take the address apart; an IPv6 host is written in brackets."""
        host, _, port = self.address.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)


class RouteSettings(_Section):
    """One way of reranking, which callers choose by its name."""

    backends: Annotated[tuple[Name, ...], Field(min_length=1)] = (LOCAL,)
    """Tried in this order; after the last one, the caller's own order stands."""
    top_k: Count | None = None
    """Documents to score where the request does not say; unset: the backend's."""
    timeout_s: Seconds = 30.0
    min_score: Share | None = None
    """Threshold where neither the request nor the backend has one; unset: none."""


class BackendSettings(_Section):
    """One reranker."""

    dialect: str
    """How it is spoken to: a vendor, or `local` for what runs in this process."""
    url: str = ""
    """Base url or full endpoint; unset: the vendor's own, where there is one."""
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
    max_documents: Count | None = None
    """In one call; unset: what the backend tells, else the dialect's."""
    max_in_flight: Count | None = None
    """Calls at once; unset: the dialect's."""
    max_queued: Annotated[int, Field(ge=0)] = 256
    """Calls that may wait for their turn."""
    listwise: bool = False
    """The score of a document depends on its companions: never split a request."""
    top_k: Count | None = None
    """Documents to score where neither request nor route says; unset: 100, or 20 for
    the built-in scorer."""
    min_score: Share | None = None
    """Replaces the route's for what this backend scores."""
    threads: Count | None = None
    """Local only: CPU threads; unset: one per core, at most 4."""
    max_cache_bytes: Annotated[int, Field(ge=0)] | None = None
    """Local only: for remembered encodings, about 120 KB a document; unset: 256 MiB."""

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
LOCAL_THREADS = min(os.cpu_count() or 1, 4)
LOCAL_MAX_CACHE_BYTES = 256 * _MIB


class Settings(_Section):
    """The whole configuration; without any, the built-in scorer serves."""

    server: ServerSettings = ServerSettings()
    routes: dict[Name, RouteSettings] = {}
    backends: dict[Name, BackendSettings] = {}
