"""Make the client that reaches a cluster."""

import json

from qdrant_client import AsyncQdrantClient

from gateway.backends.authorities import authorities
from gateway.retrieval.qdrant.place import Place

# Every call may be made again, since each leaves what its first run has left: those that
# found nobody are, where a node restarts or the cluster has another one.
_SERVICE = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "qdrant.Points"}, {"service": "qdrant.Collections"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}

_OPTIONS: dict[str, object] = {
    "grpc.service_config": json.dumps(_SERVICE),
    # A node that vanished without a word is noticed by calls under way.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.min_reconnect_backoff_ms": 5_000,
    # No proxy is read from the environment, and no configuration from DNS.
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
}


def client(place: Place, *, key: str, longest_s: float) -> AsyncQdrantClient:
    """Make a client, which connects with its first call.

    Args:
        place: One node of the cluster, or a name that leads to several.
        key: Sent with every call; empty: none is.
        longest_s: After it any call ends, whatever its own limit.

    Raises:
        NobodyTrusted: It is over TLS, and whom to trust cannot be read.

    """
    trust = {"root_certificates": authorities()} if place.secure else {}
    return AsyncQdrantClient(
        host=place.host,
        grpc_port=place.port,
        https=place.secure,
        prefer_grpc=True,
        # Given as `api_key`, it would be warned of without TLS, on every start.
        headers={"api-key": key} if key else None,
        grpc_options=_OPTIONS | trust,
        timeout=int(longest_s) + 1,
        # It would ask over HTTP, at another port.
        check_compatibility=False,
        pool_size=1,
    )
