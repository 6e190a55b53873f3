"""Health per service, whose watchers do not hold up a stop."""

import asyncio
from typing import Any

from grpc.aio import ServicerContext
from grpc_health.v1 import health, health_pb2

SERVICE = health.SERVICE_NAME

# For the last message of a stream, which says NOT_SERVING.
_LAST_WORD_S = 0.2


class Health(health.aio.HealthServicer):
    """Answers Check and Watch.

    A watcher keeps its stream open for ever, so a server that waits for calls in flight
    would wait its whole grace for it: at a stop it is told NOT_SERVING, then its
    stream ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopping = asyncio.Event()

    async def Watch(  # noqa: N802 - gRPC's name
        self,
        request: health_pb2.HealthCheckRequest,
        context: "ServicerContext[Any, Any]",
    ) -> None:
        """Tell the state of a service, and every change of it, until the stop."""
        watching = asyncio.create_task(super().Watch(request, context))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait(
                {watching, stopping}, return_when=asyncio.FIRST_COMPLETED
            )
            if not watching.done():
                await asyncio.wait({watching}, timeout=_LAST_WORD_S)
        finally:
            watching.cancel()
            stopping.cancel()
            await asyncio.wait({watching, stopping})
        if not watching.cancelled():
            watching.result()

    async def enter_graceful_shutdown(self) -> None:
        """Turn every service NOT_SERVING, and let the watchers go."""
        await super().enter_graceful_shutdown()
        self._stopping.set()
