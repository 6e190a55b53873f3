"""How calls are timed, repeated and spread over servers.

`service_config.json` is the same for the clients of every language.
"""

import json
from importlib import resources
from typing import Any

_CONFIG: dict[str, Any] = json.loads(
    resources.files("rerank_client").joinpath("service_config.json").read_text("utf-8")
)


def _timeout_s(service: str, method: str) -> float:
    name = {"service": f"rerank.v1.{service}", "method": method}
    for each in _CONFIG["methodConfig"]:
        if name in each["name"]:
            return float(each["timeout"].removesuffix("s"))
    raise LookupError(name)


CALL_TIMEOUT_S = _timeout_s("RerankService", "Rerank")
"""Deadline of a call that asks for something, unless the caller says another."""

CHANGE_TIMEOUT_S = _timeout_s("DocumentService", "DeleteDocuments")
"""Deadline of a call that changes a collection, unless the caller says another."""

STREAM_TIMEOUT_S = 600.0
"""Deadline of a stream as long as its caller likes: a batch, an import."""


def for_channel() -> str:
    """Give the configuration in the form that a channel takes.

    Without its timeouts: gRPC takes the lesser of a call's own deadline and that of the
    configuration, so a caller could never wait longer. Every call of this client has a
    deadline of its own.
    """
    methods = [
        {key: value for key, value in each.items() if key != "timeout"}
        for each in _CONFIG["methodConfig"]
    ]
    return json.dumps({**_CONFIG, "methodConfig": methods})
