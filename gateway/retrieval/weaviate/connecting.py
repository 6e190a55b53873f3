"""Make what reaches the nodes of a cluster."""

from typing import TYPE_CHECKING

import grpc
import grpc.aio

from gateway.backends.authorities import authorities
from gateway.retrieval.weaviate.place import Place
from weaviate_api.v1.weaviate_pb2_grpc import WeaviateStub

if TYPE_CHECKING:
    from weaviate_api.v1.weaviate_pb2_grpc import WeaviateAsyncStub

# Of one answer: as Weaviate has it. A page may have a hundred documents of a megabyte.
_MOST_BYTES = 100 * 2**20

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.primary_user_agent", "rerank-gateway"),
    ("grpc.max_send_message_length", -1),  # the server says what is too much for it
    ("grpc.max_receive_message_length", _MOST_BYTES),
    # Which node is asked again is for `nodes.py` to say, of both protocols.
    ("grpc.enable_retries", 0),
    # A node that vanished without a word is noticed by calls under way.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # Of a name that leads to several nodes, one after the other is asked.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.use_local_subchannel_pool", 1),
    # No proxy is read from the environment, and no configuration from DNS.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
)


class Node:
    """One node of a cluster, or a name that leads to several."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._channel: grpc.aio.Channel | None = None
        self._stub: WeaviateAsyncStub | None = None

    @property
    def rest(self) -> str:
        """Its url."""
        return self._place.rest

    @property
    def stub(self) -> "WeaviateAsyncStub":
        """Its gRPC; made with the first call, which alone is surely in the event loop."""
        if self._channel is None:
            self._channel = _channel(self._place)
        if self._stub is None:
            self._stub = WeaviateStub(self._channel)
        return self._stub

    async def close(self) -> None:
        """End the connection."""
        if self._channel is not None:
            await self._channel.close()


def _channel(place: Place) -> grpc.aio.Channel:
    # With a scheme of its own no host can be taken for one, such as `unix`.
    target = f"dns:///{place.grpc}"
    if not place.secure:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(authorities())
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
