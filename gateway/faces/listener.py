"""Listen for HTTP: bounded requests, and an end that loses no call.

aiohttp's server: it is here already, runs in the event loop that there is, and ends a
call whose caller has left.
"""

import asyncio
import logging
import socket
import ssl
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

_NAME = "rerank-gateway"
_MAX_HEADER_BYTES = 16 * 1024
"""Of one header, and of the first line."""
_MAX_HEADERS = 100
_LINGERING_S = 1.0
"""How long more is read from a caller whose body was refused, so that it reads why."""
_CLOSING_S = 0.2
_HANDSHAKE_S = 10.0


class Listener:
    """Listens from its start to its stop.

    Args:
        answer: Answers a request.
        idle_timeout_s: How long a connection may be without a complete request.

    """

    def __init__(self, answer: Answer, *, idle_timeout_s: float) -> None:
        self._answer = answer
        self._idle_timeout_s = idle_timeout_s
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._connections: _Connections | None = None
        self._listening: asyncio.Server | None = None

    async def start(self, place: socket.socket, secure: ssl.SSLContext | None) -> None:
        """Listen on a socket, which belongs to this from now on.

        Args:
            place: Bound already.
            secure: What handshakes go by; None: no TLS.

        """
        self._connections = _Connections(
            self._counted, idle_timeout_s=self._idle_timeout_s
        )
        self._listening = await asyncio.get_running_loop().create_server(
            self._connections,
            sock=place,
            ssl=secure,
            ssl_handshake_timeout=_HANDSHAKE_S if secure else None,
            ssl_shutdown_timeout=_CLOSING_S if secure else None,
        )

    async def stop(self, *, grace_s: float) -> None:
        """Take no new request, let those in flight finish, and cancel what is left.

        Args:
            grace_s: How long they may take.

        """
        if self._listening is None or self._connections is None:
            return
        self._listening.close()
        self._connections.pre_shutdown()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=grace_s)
        for task in self._in_flight:
            task.cancel()
        await self._connections.shutdown(_CLOSING_S)
        self._listening = None

    async def _counted(self, request: web.BaseRequest) -> web.StreamResponse:
        # Each request has a task of its own, which also writes the answer.
        if task := asyncio.current_task():
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
        response = await self._answer(request)
        response.headers["Server"] = _NAME
        return response


class _Connections(web.Server):
    """Makes one handler for each connection."""

    def __init__(self, answer: Answer, *, idle_timeout_s: float) -> None:
        # A call belongs to its caller, and ends with the connection.
        super().__init__(answer, handler_cancellation=True)
        self._idle_timeout_s = idle_timeout_s

    def __call__(self) -> RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as its own documentation has it
            keepalive_timeout=self._idle_timeout_s,
            lingering_time=_LINGERING_S,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
            # A small body that becomes a large one is not worth what no client sends.
            auto_decompress=False,
        )


class _Connection(RequestHandler):
    """One connection, whose errors quote nothing that came over it."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - likewise; it quotes what came
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what nobody else answered."""
        words = "the request is not HTTP as it should be"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            words = "internal error"
            self.log_exception(exc_info=exc)
        response = web.Response(
            body=orjson.dumps(
                {"message": words, "detail": words, "error": {"message": words}}
            ),
            status=status,
            content_type="application/json",
        )
        response.force_close()
        return response

    def log_exception(self, *_: object, **more: object) -> None:
        """Say which exception it was, and where: its message may quote a document."""
        error = more.get("exc_info")
        # What comes broken after an answer is nobody's bug, and read by nobody.
        if not isinstance(error, BaseException) or isinstance(
            error, RequestPayloadError
        ):
            return
        places = " < ".join(
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
            for frame in reversed(traceback.extract_tb(error.__traceback__))
        )
        _log.error("a bug: %s at %s", type(error).__name__, places)
