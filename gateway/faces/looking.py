"""What can be looked at: health, and what TEI tells of itself."""

from collections.abc import Mapping

import orjson
from aiohttp import web

from gateway.faces import tei
from gateway.faces.paths import Respond
from gateway.inspecting import Configured, Inspecting
from gateway.rpc.requests import Limits


class Looking:
    """Answers who looks and asks for nothing.

    Args:
        inspecting: Knows the backends.
        limits: How much a request may bring.
        max_calls: At once.
        version: Of the gateway.
        asked_first: The backend that the default route asks first.

    """

    def __init__(
        self,
        *,
        inspecting: Inspecting,
        limits: Limits,
        max_calls: int,
        version: str,
        asked_first: str,
    ) -> None:
        self._inspecting = inspecting
        self._limits = limits
        self._max_calls = max_calls
        self._version = version
        self._asked_first = asked_first

    def places(self) -> Mapping[str, Respond]:
        """Give what answers, by path."""
        return {
            "/health": self.health,
            "/tei/health": self.health,
            "/info": self.info,
            "/tei/info": self.info,
        }

    async def health(self, _: web.BaseRequest) -> web.Response:
        """Say that calls are answered, as they are with every backend down, and how those are."""
        backends = [
            {
                "name": each.configured.name,
                "state": each.seen.state or "UNKNOWN",
                "circuit": each.seen.circuit,
            }
            for each in self._inspecting.inspections()
        ]
        return _json({"status": "SERVING", "backends": backends})

    async def info(self, _: web.BaseRequest) -> web.Response:
        """Say what TEI would."""
        models = {
            each.configured.name: each.configured.facts.model
            for each in self._inspecting.inspections()
            if isinstance(each.configured, Configured)
        }
        return _json(
            tei.info(
                model=models.get(self._asked_first, ""),
                max_documents=self._limits.max_documents,
                max_calls=self._max_calls,
                version=self._version,
            )
        )


def _json(said: object) -> web.Response:
    return web.Response(body=orjson.dumps(said), content_type="application/json")
