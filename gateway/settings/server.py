"""What the gateway listens on, with how many processes, and how much it takes."""

from typing import Annotated

from pydantic import Field

from gateway.settings.section import MIB, Count, Seconds, Section


def host_and_port(address: str) -> tuple[str, int]:
    """Take HOST:PORT apart; an IPv6 host is written in brackets.

    Raises:
        ValueError: The port is no number.

    """
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


class ServerSettings(Section):
    """What the process listens on, and how much it takes."""

    address: str = "127.0.0.1:50051"
    """HOST:PORT; loopback only by default. Port 0 takes a free one."""
    allow_anonymous: bool = False
    """Whether this address, and that of HTTP, may be reached by others where nobody has to
    prove who it is (`identity.mode = "none"`, no certificates of callers)."""
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Processes that serve together on this address (Linux only); unset: one per core, and
    per 512 MiB of memory, that they may use. Limits of calls, of queues and of memory are
    those of all of them together: each has its part, and at least 1."""
    watch_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    """How often it is looked whether the configuration or a file with a key was replaced, and
    then reloaded; 0: only SIGHUP reloads."""
    grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long calls in flight may go on after SIGTERM."""
    max_message_bytes: Count = 32 * MIB
    """The largest message, in either direction."""
    max_documents: Count = 1000
    """In one request."""
    max_document_bytes: Count = MIB
    """Title and text of one document, in UTF-8."""
    max_query_bytes: Count = 32 * 1024
    reserve_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """How much of a caller's deadline is kept back, so that the answer is in time."""
    reserve_least_s: Annotated[float, Field(ge=0, le=60)] = 0.02
    """The same, at least."""
    max_calls: Count = 1000
    """Calls in flight; what comes on top is refused at once. Of several workers, each
    refuses what is beyond its part."""
    max_batch_in_flight: Count = 16
    """Requests of one RerankBatch that are served at once; beyond its first one, each counts
    as a call in flight, and where there is no room for it, it waits."""
    max_lag_s: Seconds = 1.0
    """New calls are refused while the process comes to its work later than this."""
    keepalive_s: Seconds = 30.0
    """A connection on which nothing came for so long is asked whether somebody is there: half
    of what load balancers allow that forget the soonest (60 s; AWS ALB, nginx)."""
    keepalive_timeout_s: Seconds = 20.0
    """How long that answer may take, then the connection is closed. gRPC's own default."""
    min_ping_interval_s: Seconds = 5.0
    """Callers may ask the same as often as this; who does it more often is cut off by gRPC
    (`too_many_pings`). Half of what is the least in grpc-go, 10 s."""
    max_connection_age_s: Annotated[float, Field(ge=0, le=86400)] = 600.0
    """After so long, more or less a tenth, a caller is told to open another connection, and
    so finds servers that came meanwhile. No call is harmed. 0: never."""
    max_connection_age_grace_s: Annotated[float, Field(ge=0, le=86400)] | None = None
    """How long the calls of an old connection may go on; unset: as long as they take."""
    tei: bool = True
    """Whether `tei.v1.Rerank` and `tei.v1.Info` are served too, for callers who speak to a
    text-embeddings-inference."""
    allow_debug: bool = False
    """Whether a caller may ask, with the metadata `x-rerank-debug: 1`, to be told in words
    how an answer came about."""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Take the address apart."""
        return host_and_port(self.address)
