"""Ask everything that a configuration names whether it works, as a gateway would."""

import asyncio

import grpc.aio

from gateway.cli.backends import Checked, check_all
from gateway.settings import Settings
from rerank.v1 import backend_pb2, backend_service_pb2

_CACHE = "cache"


def probed(settings: Settings) -> list[Checked]:
    """Start a gateway of our own, which nobody else finds, and probe all it has.

    Its calls are those of `rerank-gateway backends`: two short documents each.

    Args:
        settings: The configuration, which was checked.

    """
    return asyncio.run(_probed(settings))


async def _probed(settings: Settings) -> list[Checked]:
    from gateway.compose import gateway
    from gateway.logs import EventLog

    async with (
        gateway(_alone(settings), EventLog()) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        checked = await check_all(channel)
        memories = running.current.now.memories
        if memories.probe:
            problem = await memories.probe()
            checked.append(_cache(backend_pb2.BACKEND_STATE_UNREACHABLE, problem))
        elif memories.problem:
            state = backend_pb2.BACKEND_STATE_MISCONFIGURED
            checked.append(_cache(state, memories.problem))
        return checked


def _alone(settings: Settings) -> Settings:
    """Listen for nobody but us, and tell nobody."""
    own = type(settings)()
    return settings.model_copy(
        update={
            "server": settings.server.model_copy(
                update={"address": "127.0.0.1:0", "workers": 1}
            ),
            "http": own.http,
            "identity": own.identity,
            "tls": own.tls,
            "telemetry": own.telemetry,
        }
    )


def _cache(state: "backend_pb2.BackendState.ValueType", problem: str) -> Checked:
    if not problem:
        state = backend_pb2.BACKEND_STATE_READY
    return (
        backend_pb2.Backend(name=_CACHE, dialect="redis"),
        backend_service_pb2.CheckBackendResponse(
            available=not problem,
            state=state,
            message=f"{_CACHE}: {problem}" if problem else "",
        ),
    )
