"""The sockets to one backend: HTTP by way of aiohttp's pool.

Measured for 100 documents of 400 bytes, of the whole process: httpx takes 2.3 to 2.9 ms of
CPU for such a call, aiohttp behind httpx's interface 1.5, aiohttp as it is 0.1 less.
"""

import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import aiohttp

from gateway.backends.authorities import authorities

# llama.cpp's server closes a connection that was idle for five seconds.
_KEEP_ALIVE_S = 4.0

TRANSPORT_ERRORS = (aiohttp.ClientError, OSError)
"""Everything that a broken connection or an answer that is no HTTP can raise."""

NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Those of them that come before anything is sent."""

UNPROVEN = aiohttp.ClientConnectorCertificateError
"""The one of them that says: nobody we trust vouches for who listens there."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of several with one name, the last."""
    body: bytes | None
    """As it came, never unpacked; None: it was longer than it may be."""


class Transport(Protocol):
    """Sends one request and brings its answer."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        max_answer_bytes: int,
    ) -> Reply:
        """Send a request and read its answer whole.

        Args:
            method: Such as `POST`.
            url: The full address.
            headers: As they are sent.
            body: Empty: none.
            max_answer_bytes: No more of a body is read.

        Raises:
            TRANSPORT_ERRORS: No answer, or not all of it.

        """

    async def aclose(self) -> None:
        """Close the sockets."""


class Pool:
    """A `Transport` that keeps connections open.

    It has no bound of its own (the Limit layer has), keeps no cookies, follows no
    redirect and reads no proxy from the environment. It opens with the first request.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        max_answer_bytes: int,
    ) -> Reply:
        """Send a request, once more at once if a pooled connection had gone stale.

        The backend closed it while it was idle: that is nobody's failure. What fails on a
        fresh connection, or after the first byte of an answer, is not sent again.
        """
        if self._session is None:
            self._session = _open_session()
        request = self._session.request
        _is_fresh.set(False)
        try:
            response = await request(
                method, url, headers=headers, data=body or None, allow_redirects=False
            )
        except TRANSPORT_ERRORS:
            if _is_fresh.get():
                raise
            response = await request(
                method, url, headers=headers, data=body or None, allow_redirects=False
            )
        try:
            content = await _read(response, max_answer_bytes)
        finally:
            # Of what was read whole, the connection is back in the pool by now.
            response.close()
        named = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, named, content)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(
            ssl=_ssl_context(), limit=0, keepalive_timeout=_KEEP_ALIVE_S
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "rerank-gateway"},
        timeout=aiohttp.ClientTimeout(total=None),
        # A compressed answer could be small on the wire and huge in memory.
        auto_decompress=False,
    )


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Read a body whole; None where it is longer than that."""
    told = response.content_length
    if told is not None and told <= max_bytes:  # at once, not part by part
        return await response.read()
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > max_bytes:
            return None
    return bytes(body)


_is_fresh: ContextVar[bool] = ContextVar("connection_is_fresh", default=False)


class _Connector(aiohttp.TCPConnector):
    """Notes in the context of a request that a connection was opened for it.

    aiohttp's own way to tell, a `TraceConfig`, costs each request a fifth of its time.
    """

    async def _create_connection(self, *args: Any) -> Any:  # noqa: ANN401 - as it is there
        _is_fresh.set(True)
        return await super()._create_connection(*args)


@cache
def _ssl_context() -> ssl.SSLContext:
    """Read the trusted certificates once: it takes 20 ms."""
    return ssl.create_default_context(cadata=authorities().decode("ascii"))
