"""Callers' connections: kept where nothing moves, renewed where they are old."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc
from tests.e2e.running import Running, rerank_request, running
from tests.support.relay import Relay

pytestmark = pytest.mark.real_time

_PATIENCE_S = 20.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = 4
_PING = 6
_GOAWAY = 7
_ACK = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway, and a caller whose connections are counted."""

    gateway: Running
    relay: Relay
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub"

    async def rerank(self) -> None:
        await self.stub.Rerank(rerank_request(1), timeout=_PATIENCE_S)


@asynccontextmanager
async def scene(*client: tuple[str, int], **server: float) -> AsyncIterator[Scene]:
    """Run a gateway; its caller comes by way of something that counts connections."""
    settings = {"server": server, "routes": {"default": {"backends": ["local"]}}}
    options = [("grpc.use_local_subchannel_pool", 1), *client]
    async with (
        running(settings) as gateway,
        Relay(gateway.address) as relay,
        grpc.aio.insecure_channel(relay.address, options=options) as channel,
    ):
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        yield Scene(gateway, relay, stub)


async def test_an_old_connection_is_renewed_and_no_call_fails() -> None:
    async with scene(max_connection_age_s=0.2) as of:
        batch = of.stub.RerankBatch(timeout=_PATIENCE_S)
        calls = 0

        async def call() -> None:
            nonlocal calls
            while of.relay.connections < 5:
                await of.rerank()
                calls += 1

        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*(call() for _ in range(8)))
        assert calls > 8
        # What was begun on the first one goes on.
        request = rerank_service_pb2.RerankBatchRequest(
            request_id="a", request=rerank_request(1)
        )
        await batch.write(request)
        answer: Any = await batch.read()
        assert answer.HasField("response")
        await batch.done_writing()
        assert await batch.code() is grpc.StatusCode.OK


async def test_without_an_age_it_lives_for_ever() -> None:
    async with scene(max_connection_age_s=0) as of:
        async with asyncio.timeout(_PATIENCE_S):
            for _ in range(100):
                await of.rerank()
        assert of.relay.connections == 1


async def test_what_outlasts_the_grace_of_an_old_connection_is_ended() -> None:
    async with scene(max_connection_age_s=0.1, max_connection_age_grace_s=0.1) as of:
        batch = of.stub.RerankBatch(timeout=_PATIENCE_S)
        assert await batch.code() is grpc.StatusCode.UNAVAILABLE
        await of.rerank()


class Peer:
    """Speaks as much of HTTP/2 as it takes to ping and to be pinged."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        writer.write(_PREFACE + _frame(_SETTINGS, 0, b""))

    async def next_one(self) -> tuple[int, int, bytes] | None:
        """Wait for a frame, and give kind, flags and contents; None: there is no more."""
        async with asyncio.timeout(_PATIENCE_S):
            try:
                head = await self._reader.readexactly(9)
                length = int.from_bytes(head[:3], "big")
                contents = await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        kind, flags = head[3], head[4]
        if (kind, flags) == (_SETTINGS, 0):
            self._writer.write(_frame(_SETTINGS, _ACK, b""))
        return kind, flags, contents

    async def until_pinged(self) -> bytes | None:
        """Wait for a question, and give what is in it; None: the connection was closed."""
        while frame := await self.next_one():
            kind, flags, contents = frame
            if (kind, flags) == (_PING, 0):
                return contents
        return None

    async def answered(self) -> str:
        """Ask, and give the answer: `pong`, or why the connection ends."""
        self._writer.write(_frame(_PING, 0, b"anybody?"))
        while frame := await self.next_one():
            kind, flags, contents = frame
            if (kind, flags) == (_PING, _ACK):
                return "pong"
            if kind == _GOAWAY:
                return contents[8:].decode()
        return "closed"

    def answer(self, ping: bytes) -> None:
        self._writer.write(_frame(_PING, _ACK, ping))


def _frame(kind: int, flags: int, contents: bytes) -> bytes:
    length = struct.pack(">I", len(contents))[1:]
    return length + bytes([kind, flags, 0, 0, 0, 0]) + contents


@asynccontextmanager
async def peer(gateway: Running) -> AsyncIterator[Peer]:
    host, _, port = gateway.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


async def test_callers_may_ask_as_often_as_is_allowed() -> None:
    async with scene(min_ping_interval_s=0.02) as of, peer(of.gateway) as asking:
        for _ in range(10):
            assert await asking.answered() == "pong"
            await asyncio.sleep(0.03)


async def test_who_asks_more_often_is_cut_off() -> None:
    async with scene(min_ping_interval_s=60.0) as of, peer(of.gateway) as asking:
        answers = [await asking.answered() for _ in range(6)]
        assert answers[0] == "pong"
        assert "too_many_pings" in answers


async def test_a_silent_connection_is_asked_as_long_as_it_answers() -> None:
    async with (
        scene(keepalive_s=0.05, keepalive_timeout_s=_PATIENCE_S) as of,
        peer(of.gateway) as silent,
    ):
        # More often than gRPC would by itself, which ends it after two.
        for _ in range(6):
            ping = await silent.until_pinged()
            assert ping
            silent.answer(ping)


async def test_a_connection_that_does_not_answer_is_closed() -> None:
    async with (
        scene(keepalive_s=0.1, keepalive_timeout_s=0.1) as of,
        peer(of.gateway) as dead,
    ):
        while await dead.until_pinged() is not None:
            pass
