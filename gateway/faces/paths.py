"""Which path is whose, and what becomes of the rest."""

from collections.abc import Awaitable, Callable, Mapping

import orjson
from aiohttp import web

from gateway.faces import bare, cohere
from gateway.faces.face import Face
from gateway.faces.jina import JINA
from gateway.faces.reranks import FaceOf
from gateway.faces.tei import TEI
from gateway.faces.voyage import VOYAGE

RERANKS: Mapping[str, tuple[Face, FaceOf | None]] = {
    # Those that belong to one vendor alone.
    "/cohere/v1/rerank": (cohere.V1, None),
    "/cohere/v2/rerank": (cohere.V2, None),
    "/jina/v1/rerank": (JINA, None),
    "/tei/rerank": (TEI, None),
    "/voyage/v1/rerank": (VOYAGE, None),
    # Those that their tools ask when they are given this gateway's address alone.
    "/v2/rerank": (cohere.V2, None),
    "/v1/rerank": (bare.BARE, bare.face_of),
    "/v1/reranking": (bare.BARE, bare.face_of),
    "/rerank": (bare.BARE, bare.face_of),
    "/reranking": (bare.BARE, bare.face_of),
}
"""By path, whose requests to rerank it takes; the function tells where several do."""

SHARED: tuple[Face, ...] = (TEI, VOYAGE)
"""Those who share the bare paths with what all others have in common."""

Respond = Callable[[web.BaseRequest], Awaitable[web.Response]]


class Paths:
    """Gives each request to whoever answers it.

    Args:
        places: By path and method.

    """

    def __init__(self, places: Mapping[str, Mapping[str, Respond]]) -> None:
        self._places = places

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """Answer a request."""
        methods = self._places.get(request.path)
        if methods is None:
            # Connect's clients read the code, and others the words.
            return _refused(404, "there is nothing at this path", code="unimplemented")
        respond = methods.get(request.method)
        if respond is None:
            response = _refused(405, f"only {', '.join(methods)} is answered here")
            response.headers["Allow"] = ", ".join(methods)
            return response
        return await respond(request)


def _refused(status: int, words: str, **more: str) -> web.Response:
    said = {"message": words, "detail": words, "error": {"message": words}, **more}
    return web.Response(
        body=orjson.dumps(said),
        status=status,
        content_type="application/json",
    )
