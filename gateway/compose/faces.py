"""The HTTP faces of one gateway; imported where it has any, since that takes 0.1 s."""

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version

from gateway.contract import DEFAULT_ROUTE
from gateway.faces.assembling import assembled
from gateway.faces.exchange import Bounds, Exchanges
from gateway.faces.looking import Looking
from gateway.faces.openapi import document
from gateway.faces.paths import Paths
from gateway.faces.reranks import Routes
from gateway.identity.entrance import Entrance
from gateway.identity.permitted import PermittedRoutes
from gateway.inspecting import Inspecting
from gateway.rpc.in_process import Handlers, InProcess
from gateway.rpc.requests import Limits
from gateway.settings import RouteSettings, Settings


def faces(
    settings: Settings,
    inspecting: Inspecting,
    *,
    entrance: Entrance,
    limits: Limits,
    handlers: Handlers,
    in_process: InProcess,
) -> Paths:
    """Give what answers by HTTP.

    Args:
        settings: Of this process.
        inspecting: Knows the backends.
        entrance: Whom they let in.
        limits: How much a request may bring.
        handlers: Of all services.
        in_process: The way to them.

    """
    http, server = settings.http, settings.server
    ours = version("rerank-gateway")
    routes: Mapping[str, RouteSettings] = settings.routes
    if entrance.identify:
        routes = PermittedRoutes(routes)

    def asked_first() -> str:
        default = routes.get(DEFAULT_ROUTE)
        return default.backends[0] if default else ""

    return assembled(
        handlers=handlers,
        exchanges=Exchanges(
            in_process,
            Bounds(
                max_body_bytes=server.max_message_bytes,
                body_timeout_s=http.body_timeout_s,
            ),
        ),
        routes=Routes(
            names=routes,
            bounded=frozenset(
                name
                for name, route in settings.routes.items()
                if route.top_k is not None
            ),
            keep_order=http.on_fallback == "keep_order",
            default=DEFAULT_ROUTE,
        ),
        limits=limits,
        looking=Looking(
            inspecting=inspecting,
            limits=limits,
            max_calls=server.max_calls,
            version=ours,
            describe=partial(document, version=ours, limits=limits),
            entrance=entrance,
            asked_first=asked_first,
        ),
    )
