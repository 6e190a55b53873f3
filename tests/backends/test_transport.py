"""The sockets to one backend, against a real server on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.backends.transport import TRANSPORT_ERRORS, Pool, Reply

pytestmark = pytest.mark.real_time

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Served:
    """What a server saw."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.heads: list[bytes] = []
        self.connections = 0


@asynccontextmanager
async def server(
    answer: Callable[[asyncio.StreamWriter, int, int], Awaitable[bool]],
) -> AsyncIterator[Served]:
    """Serve on a free port.

    Args:
        answer: Answers one request, given its connection's number and its own number
            on it, both from 1; says whether to go on with the connection.

    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        connection = served.connections
        turn = 0
        try:
            while True:
                served.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(2)
                turn += 1
                if not await answer(writer, connection, turn):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    served = Served(f"http://127.0.0.1:{port}")
    try:
        yield served
    finally:
        listening.close()
        await listening.wait_closed()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def transport() -> AsyncIterator[Pool]:
    opened = Pool()
    try:
        yield opened
    finally:
        await opened.aclose()


async def reply(pool: Pool, served: Served) -> Reply:
    return await pool.send(
        "POST", f"{served.url}/rerank", headers={}, body=b"{}", max_answer_bytes=1000
    )


async def ask(pool: Pool, served: Served) -> bytes | None:
    return (await reply(pool, served)).body


async def test_a_connection_is_used_again() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        writer.write(OK)
        return True

    async with server(answer) as served, transport() as pool:
        for _ in range(3):
            assert await ask(pool, served) == b"ok"
        assert served.connections == 1


async def test_what_fails_on_a_stale_connection_is_sent_once_more_at_once() -> None:
    async def answer(writer: asyncio.StreamWriter, connection: int, turn: int) -> bool:
        if connection == 1 and turn == 2:
            return False  # it was idle for too long
        writer.write(OK)
        return True

    async with server(answer) as served, transport() as pool:
        assert await ask(pool, served) == b"ok"
        assert await ask(pool, served) == b"ok"
        assert served.connections == 2
        assert len(served.heads) == 3


async def test_what_fails_on_a_fresh_connection_is_not_sent_again() -> None:
    async def answer(_: asyncio.StreamWriter, __: int, ___: int) -> bool:
        return False

    async with server(answer) as served, transport() as pool:
        with pytest.raises(TRANSPORT_ERRORS):
            await ask(pool, served)
        assert served.connections == 1


async def test_what_fails_on_a_stale_and_on_a_fresh_connection_fails() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        if len(served.heads) > 1:
            return False
        writer.write(OK)
        return True

    async with server(answer) as served, transport() as pool:
        assert await ask(pool, served) == b"ok"
        with pytest.raises(TRANSPORT_ERRORS):
            await ask(pool, served)
        assert len(served.heads) == 3


async def test_an_answer_that_breaks_off_is_not_asked_for_again() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int, turn: int) -> bool:
        if turn == 1:
            writer.write(OK)
            return True
        writer.write(OK[:-1])
        await writer.drain()
        return False

    async with server(answer) as served, transport() as pool:
        assert await ask(pool, served) == b"ok"
        with pytest.raises(TRANSPORT_ERRORS):
            await ask(pool, served)
        assert len(served.heads) == 2


async def test_a_refused_connection_is_a_transport_error() -> None:
    async def answer(_: asyncio.StreamWriter, __: int, ___: int) -> bool:
        return False

    async with server(answer) as served:
        pass
    async with transport() as pool:
        with pytest.raises(TRANSPORT_ERRORS):
            await ask(pool, served)


async def test_what_is_no_http_is_a_transport_error() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await writer.drain()
        return False

    async with server(answer) as served, transport() as pool:
        with pytest.raises(TRANSPORT_ERRORS):
            await ask(pool, served)


async def test_no_redirect_is_followed_and_no_cookie_is_kept() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\n"
            b"Content-Length: 2\r\n\r\nno"
        )
        return True

    async with server(answer) as served, transport() as pool:
        for _ in range(2):
            said = await reply(pool, served)
            assert (said.status, said.body) == (302, b"no")
        assert len(served.heads) == 2
        assert all(b"POST /rerank" in head for head in served.heads)
        assert b"cookie" not in served.heads[1].lower()


async def test_no_proxy_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        writer.write(OK)
        return True

    async with server(answer) as served, transport() as pool:
        assert await ask(pool, served) == b"ok"


async def test_a_body_beyond_its_bound_is_none_and_ends_its_connection() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5000
        )
        return True

    async with server(answer) as served, transport() as pool:
        assert await ask(pool, served) is None
        assert await ask(pool, served) is None
        assert served.connections == 2


async def test_an_answer_that_was_compressed_all_the_same_stays_as_small_as_it_was() -> (
    None
):
    packed = b"\x1f\x8b\x08\x00" + b"\x00" * 60

    async def answer(writer: asyncio.StreamWriter, _: int, __: int) -> bool:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}"
        writer.write(head.encode() + b"\r\n\r\n" + packed)
        return True

    async with server(answer) as served, transport() as pool:
        assert await ask(pool, served) == packed
