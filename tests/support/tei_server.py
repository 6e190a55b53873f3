"""A server that speaks text-embeddings-inference's gRPC: it answers, or fails as told."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from tei.v1 import tei_pb2
from tests.support.redis_server import binary

RERANK = "/tei.v1.Rerank/Rerank"
INFO = "/tei.v1.Info/Info"

_PATIENCE_S = 20.0

Context = grpc.aio.ServicerContext[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as it came."""

    request: tei_pb2.RerankRequest
    headers: Mapping[str, str]
    remaining_s: float | None
    """Until the caller gives up; None: never."""
    context: Context

    async def refuse(self, status: str, words: str) -> bytes:
        await self.context.abort(grpc.StatusCode[status], words)
        raise AssertionError


Play = Callable[[Asked], Awaitable[bytes]]
"""What the server does with one call."""


class TeiServer:
    """Listens on a free port while it is entered.

    Args:
        play: What it does with each rerank; may be changed at any time.
        info: What it tells about itself; None: it has no such method.
        key: Whoever calls without it is refused, as TEI does it.
        certificate: Of TLS, and its key; None: in plain text.
        port: Where it listens; 0: on a free one.

    """

    def __init__(
        self,
        play: Play,
        *,
        info: tei_pb2.InfoResponse | None = None,
        key: str = "",
        certificate: tuple[Path, Path] | None = None,
        port: int = 0,
    ) -> None:
        self.play = play
        self.info = info
        self.received: list[Asked] = []
        """Every rerank."""
        self.infos: list[Mapping[str, str]] = []
        """The metadata of each question about itself."""
        self.in_progress = 0
        self.abandoned = 0
        """Calls that were cancelled by who made them."""
        self.url = ""
        self._key = key
        self._certificate = certificate
        self.port = port
        self._changed = asyncio.Event()
        self._handlers: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", 4 * 1024 * 1024),
                ("grpc.max_send_message_length", -1),
            ]
        )
        self._server.add_generic_rpc_handlers((_Methods(self),))
        scheme, address = "grpc", f"127.0.0.1:{self.port}"
        if self._certificate:
            scheme, (certificate, key) = "grpcs", self._certificate
            credentials = grpc.ssl_server_credentials(
                [(key.read_bytes(), certificate.read_bytes())]
            )
            self.port = self._server.add_secure_port(address, credentials)
        else:
            self.port = self._server.add_insecure_port(address)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End at once, and with it every call."""
        await self._server.stop(0)
        # It does not wait for what it has cancelled.
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=_PATIENCE_S)
        for _ in range(3):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what happens here to make a condition true."""
        async with asyncio.timeout(_PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def rerank(self, message: bytes, context: Context) -> bytes:
        await self._check(context)
        asked = Asked(
            tei_pb2.RerankRequest.FromString(message),
            _headers(context),
            context.time_remaining(),
            context,
        )
        self.received.append(asked)
        self.in_progress += 1
        self._changed.set()
        try:
            return await self.play(asked)
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        finally:
            self.in_progress -= 1
            self._changed.set()

    async def tell(self, message: bytes, context: Context) -> bytes:
        self.infos.append(_headers(context))
        await self._check(context)
        assert not message
        if self.info is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED)
            raise AssertionError
        return self.info.SerializeToString()

    async def _check(self, context: Context) -> None:
        if task := asyncio.current_task():
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        if (
            self._key
            and _headers(context).get("authorization") != f"Bearer {self._key}"
        ):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "No valid auth token")


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, server: TeiServer) -> None:
        self._methods: dict[str, Any] = {
            RERANK: grpc.unary_unary_rpc_method_handler(server.rerank),
            INFO: grpc.unary_unary_rpc_method_handler(server.tell),
        }

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return self._methods.get(details.method)


def _headers(context: Context) -> dict[str, str]:
    return {
        key: value
        for key, value in context.invocation_metadata() or ()
        if isinstance(value, str)
    }


def answer(*ranks: tuple[int, float], tokens: int = 0) -> bytes:
    """Write ranks: index and score of each."""
    return tei_pb2.RerankResponse(
        ranks=[tei_pb2.Rank(index=index, score=score) for index, score in ranks],
        metadata=tei_pb2.Metadata(compute_tokens=tokens),
    ).SerializeToString()


def scored(score_of: Callable[[str], float]) -> Play:
    """Answer well, as TEI does: the best first, with times among the metadata."""

    async def play(asked: Asked) -> bytes:
        assert asked.request.raw_scores
        assert asked.request.truncate
        assert not asked.request.return_text
        scores = [score_of(text) for text in asked.request.texts]
        await asked.context.send_initial_metadata(
            [("x-queue-time", "12"), ("x-inference-time", "34")]
        )
        best_first = sorted(range(len(scores)), key=lambda index: -scores[index])
        return answer(*((index, scores[index]) for index in best_first), tokens=56)

    return play


def says(message: bytes) -> Play:
    """Answer with these bytes, whatever was asked."""

    async def play(_: Asked) -> bytes:
        return message

    return play


def refuses(status: str, words: str = "") -> Play:
    """End every call so."""

    async def play(asked: Asked) -> bytes:
        return await asked.refuse(status, words)

    return play


async def hang(_: Asked) -> bytes:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that nobody signed, and its key."""
    made, key = folder / "server.pem", folder / "server.key"
    subprocess.run(  # noqa: S603 - our own
        [
            *(binary("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-keyout", str(key), "-out", str(made), "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return made, key
