"""What can be looked at: health, the description of the faces, and what TEI tells of itself."""

from collections.abc import Callable, Mapping
from typing import NotRequired

import orjson
from aiohttp import web
from typing_extensions import TypedDict

from gateway.faces import bare, tei
from gateway.faces.headers import CHALLENGE
from gateway.faces.incoming import shown_by
from gateway.faces.paths import Respond
from gateway.faces.refusal import Refusal
from gateway.identity.entrance import Entrance
from gateway.inspecting import Configured, Inspecting
from gateway.rpc.refusal import CREDENTIALS_REQUIRED
from gateway.rpc.requests import Limits

_UNKNOWN = Refusal(code=CREDENTIALS_REQUIRED.code, message=CREDENTIALS_REQUIRED.message)


class BackendHealth(TypedDict):
    """One backend, as the calls so far showed it."""

    name: str
    state: str
    circuit: str


class Health(TypedDict):
    """That calls are answered, as they are with every backend down, and how those are."""

    status: str
    backends: NotRequired[list[BackendHealth]]
    """For those alone who may ask for them."""


class Looking:
    """Answers who looks and asks for nothing.

    Args:
        inspecting: Knows the backends.
        limits: How much a request may bring.
        max_calls: At once.
        version: Of the gateway.
        asked_first: Names the backend that the default route asks first; empty: there is
            no such route for the caller.
        describe: Gives the description of all faces.
        entrance: Whom it lets look.

    """

    def __init__(
        self,
        *,
        inspecting: Inspecting,
        limits: Limits,
        max_calls: int,
        version: str,
        asked_first: Callable[[], str],
        describe: Callable[[], object],
        entrance: Entrance,
    ) -> None:
        self._inspecting = inspecting
        self._limits = limits
        self._max_calls = max_calls
        self._version = version
        self._asked_first = asked_first
        self._describe = describe
        self._entrance = entrance
        self._description = b""

    def places(self) -> Mapping[str, Respond]:
        """Give what answers, by path."""
        return {
            "/health": self._where_open("health", self.health),
            "/tei/health": self._where_open("health", self.health),
            "/info": self._where_open("info", self.info),
            "/tei/info": self._where_open("info", self.info),
            "/openapi.json": self._where_open("openapi", self.openapi),
        }

    def _where_open(self, what: str, respond: Respond) -> Respond:
        """Answer those alone who may look."""

        async def admit(request: web.BaseRequest) -> web.Response:
            if await self._entrance.admits(what, shown_by(request)):
                return await respond(request)
            said = bare.refuse(_UNKNOWN)
            return web.Response(
                body=orjson.dumps(said),
                status=_UNKNOWN.status_in({}),
                headers=CHALLENGE,
                content_type="application/json",
            )

        return admit

    async def health(self, request: web.BaseRequest) -> web.Response:
        """Say how it is, and how the backends are to those who may ask for them."""
        if not await self._entrance.admits_admin("backends", shown_by(request)):
            alone: Health = {"status": "SERVING"}
            return _json(alone)
        backends: list[BackendHealth] = [
            {
                "name": each.configured.name,
                "state": each.seen.state or "UNKNOWN",
                "circuit": each.seen.circuit,
            }
            for each in self._inspecting.inspections()
        ]
        health: Health = {"status": "SERVING", "backends": backends}
        return _json(health)

    async def openapi(self, _: web.BaseRequest) -> web.Response:
        """Describe all faces."""
        if not self._description:
            self._description = orjson.dumps(self._describe())
        return web.Response(body=self._description, content_type="application/json")

    async def info(self, _: web.BaseRequest) -> web.Response:
        """Say what TEI would."""
        models = {
            each.configured.name: each.configured.facts.model
            for each in self._inspecting.inspections()
            if isinstance(each.configured, Configured)
        }
        return _json(
            tei.info(
                model=models.get(self._asked_first(), ""),
                max_documents=self._limits.max_documents,
                max_calls=self._max_calls,
                version=self._version,
            )
        )


def _json(said: object) -> web.Response:
    return web.Response(body=orjson.dumps(said), content_type="application/json")
