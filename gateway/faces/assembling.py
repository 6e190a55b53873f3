"""Put the faces together, for one listener."""

from aiohttp import web
from google.protobuf.descriptor import MethodDescriptor

from gateway.faces import connect
from gateway.faces.exchange import Exchanges
from gateway.faces.face import Face
from gateway.faces.looking import Looking
from gateway.faces.paths import RERANKS, Paths, Respond
from gateway.faces.reranks import FaceOf, Routes, VendorRerank
from gateway.rpc.in_process import Handlers
from gateway.rpc.requests import Limits


def assembled(
    *,
    handlers: Handlers,
    exchanges: Exchanges,
    routes: Routes,
    limits: Limits,
    looking: Looking,
) -> Paths:
    """Give what answers for all faces.

    Args:
        handlers: Of all services.
        exchanges: Answers requests that become calls.
        routes: Which there are.
        limits: How much a request may bring.
        looking: Answers who only looks.

    """

    def reranking(face: Face, face_of: FaceOf | None) -> Respond:
        async def respond(request: web.BaseRequest) -> web.Response:
            api = VendorRerank(handlers, routes, limits, face, face_of)
            return await exchanges.answer(request, api)

        return respond

    def calling(method: MethodDescriptor) -> Respond:
        async def respond(request: web.BaseRequest) -> web.Response:
            api = connect.ConnectCall(handlers, method)
            return await exchanges.answer(request, api)

        return respond

    places: dict[str, dict[str, Respond]] = {
        path: {"POST": reranking(face, face_of)}
        for path, (face, face_of) in RERANKS.items()
    }
    for method in connect.methods():
        places[connect.path_of(method)] = {"POST": calling(method)}
    for path, look in looking.places().items():
        places.setdefault(path, {}).update(GET=look, HEAD=look)
    return Paths(places)
