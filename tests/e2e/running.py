"""Start a gateway as a deployment would, and speak to it as a caller would."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from gateway.compose import gateway
from gateway.events import Emit, Event
from gateway.logs import EventLog
from gateway.server import Server
from gateway.settings import load
from rerank.v1 import document_pb2, rerank_service_pb2, rerank_service_pb2_grpc

KEY = "key-of-the-gateway-77aa"
"""What every backend is asked with, and nobody else may see."""

KEY_VARIABLE = "VENDOR_KEY"

QUERY = "How do I restore a backup?"


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that is listening, and a way to call it."""

    address: str
    server: Server
    channel: grpc.aio.Channel
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub"


@asynccontextmanager
async def running(
    settings: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    emit: Emit | None = None,
) -> AsyncIterator[Running]:
    """Run a gateway on a free port.

    Args:
        settings: What a configuration file would say.
        environ: Variables beside that of the key.
        emit: Told what happened; None: all of it is logged.

    """
    env = {
        KEY_VARIABLE: KEY,
        # Most tests are about Rerank, and none may touch the user's collections.
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
        # And about single calls: what one of them left behind would decide the next.
        "RERANK_GATEWAY__CACHE__MAX_BYTES": "0",
        # However late a busy machine comes to its work.
        "RERANK_GATEWAY__SERVER__MAX_LAG_S": "60",
        **dict(_variables({"backends": _patient(settings)})),
        **(environ or {}),
        **dict(_variables(settings)),
    }
    loaded = load(address="127.0.0.1:0", environ=env)
    async with (
        gateway(loaded, emit or _log_each) as started,
        grpc.aio.insecure_channel(
            started.address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel,
    ):
        yield Running(
            address=started.address,
            server=started.server,
            channel=channel,
            stub=rerank_service_pb2_grpc.RerankServiceStub(channel),
        )


def _patient(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Let no backend be asked again, nor left alone after failures."""
    alone = {"retries": 0, "failures_in_a_row": 1_000_000, "failure_share": 1.0}
    return dict.fromkeys(settings.get("backends", {}), alone)


def _log_each(event: Event) -> None:
    """Log every failure: a new log has not said it before."""
    EventLog()(event)


def _variables(
    settings: Mapping[str, Any], prefix: str = "RERANK_GATEWAY"
) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        name = f"{prefix}__{key.upper()}"
        if isinstance(value, Mapping):
            yield from _variables(value, name)
        else:
            yield name, json.dumps(value) if isinstance(value, list) else str(value)


def rerank_request(count: int, **more: Any) -> rerank_service_pb2.RerankRequest:
    """Ask about documents that a hybrid search has found, each with its score."""
    return rerank_service_pb2.RerankRequest(
        query=more.pop("query", QUERY),
        search_method="rrf_hybrid",
        documents=[
            document_pb2.Document(
                id=f"doc-{place}", text=text_of(place), score=1 / (61 + place)
            )
            for place in range(count)
        ],
        **more,
    )


def text_of(place: int) -> str:
    return f"text-of-a-caller {place}"


def place_of(text: str) -> int:
    return int(text.rsplit(" ", 1)[-1])
