"""How callers' connections are kept, renewed and given up: gRPC's options for it.

Load balancers forget a connection on which nothing moves, and one that lives for ever never
meets a server that came after it. So silent ones are asked whether somebody is there, and
old ones are renewed without harm to any call: the caller is told to open another one, and
the old one ends with its last call. gRPC spreads the age by a tenth in both directions.
"""

from gateway.settings import ServerSettings

_ALWAYS = 1
_ANY_NUMBER = 0


def connection_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Give the options of a server."""
    options = [
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_s)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout_s)),
        # Without it gRPC waits a minute for the answer, whatever the line above says.
        ("grpc.http2.ping_timeout_ms", _ms(settings.keepalive_timeout_s)),
        # Ours on connections without calls, and callers' pings on such: both are what
        # keeps them alive.
        ("grpc.keepalive_permit_without_calls", _ALWAYS),
        # By default gRPC gives up after two on which nothing else was sent.
        ("grpc.http2.max_pings_without_data", _ANY_NUMBER),
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            _ms(settings.min_ping_interval_s),
        ),
    ]
    if settings.max_connection_age_s:
        age_ms = _ms(settings.max_connection_age_s)
        options.append(("grpc.max_connection_age_ms", age_ms))
        if settings.max_connection_age_grace_s is not None:
            grace_ms = _ms(settings.max_connection_age_grace_s)
            options.append(("grpc.max_connection_age_grace_ms", grace_ms))
    return options


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)
