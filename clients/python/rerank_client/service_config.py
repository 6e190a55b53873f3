"""How calls are timed, repeated and spread over servers.

`service_config.json` is the same for the clients of every language. It bounds no call: gRPC
takes the lesser of a bound there and a call's own deadline, so a caller could never wait
longer. Every call of this client has a deadline of its own instead.
"""

from importlib import resources

SERVICE_CONFIG = (
    resources.files("rerank_client").joinpath("service_config.json").read_text("utf-8")
)
"""In the form that a channel takes."""

CALL_TIMEOUT_S = 10.0
"""Deadline of a call that asks for something, unless the caller says another."""

CHANGE_TIMEOUT_S = 30.0
"""Deadline of a call that changes a collection, unless the caller says another."""

STREAM_TIMEOUT_S = 600.0
"""Deadline of a stream as long as its caller likes: a batch, an import."""
