"""What comes over HTTP: bodies that are bounded in size and time, and who sent them."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import grpc
import orjson
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from gateway.faces.refusal import Refusal
from gateway.identity.shown import Shown

Metadata = tuple[tuple[str, str | bytes], ...]

JSON = "application/json"

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Unserved(Exception):
    """A request that cannot be served as it came, for reasons that only HTTP knows.

    Args:
        status: Of HTTP.
        code: What comes nearest to it in gRPC.
        message: One sentence for people.

    """

    def __init__(self, status: int, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(code=code, message=message, status=status)


async def body_of(
    request: web.BaseRequest, *, max_bytes: int, timeout_s: float
) -> bytes:
    """Read a body, and no more of it than is allowed.

    Args:
        request: Whose.
        max_bytes: Of it.
        timeout_s: How long it may take to arrive.

    Raises:
        Unserved: It is too large, too slow, compressed or broken.

    """
    too_large = Unserved(
        413,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"the body must have at most {max_bytes} bytes",
    )
    if (request.content_length or 0) > max_bytes:
        raise too_large
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unserved(
            415, grpc.StatusCode.INVALID_ARGUMENT, "the body must not be compressed"
        )
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            await _go_ahead(request)
            async for part in request.content.iter_any():
                body += part
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError as error:
        raise Unserved(
            408,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            f"the body did not arrive within {timeout_s:g} s",
        ) from error
    except (RequestPayloadError, ClientPayloadError, HttpProcessingError) as error:
        raise Unserved(
            400, grpc.StatusCode.INVALID_ARGUMENT, "the body is broken"
        ) from error
    return bytes(body)


async def _go_ahead(request: web.BaseRequest) -> None:
    """Let a caller go on who asks first whether its body is wanted."""
    expected = request.headers.get("Expect")
    if expected is None:
        return
    if expected.lower() != "100-continue":
        raise Unserved(
            417, grpc.StatusCode.INVALID_ARGUMENT, "only 100-continue can be expected"
        )
    await request.writer.write(_CONTINUE)


def kind_of(headers: Mapping[str, str], *kinds: str) -> str:
    """Tell what a body is said to be; one that says nothing is the first of the kinds.

    Args:
        headers: Of the request.
        kinds: What it may be.

    Raises:
        Unserved: It is something else.

    """
    kind = headers.get("Content-Type", kinds[0]).partition(";")[0].strip().lower()
    if kind not in kinds:
        raise Unserved(
            415,
            grpc.StatusCode.INVALID_ARGUMENT,
            f"the content type must be {' or '.join(kinds)}",
        )
    return kind


def json_in(body: bytes) -> dict[str, Any]:
    """Read a body.

    Raises:
        Unserved: It is no JSON, or no object.

    """
    wrong = Unserved(
        400, grpc.StatusCode.INVALID_ARGUMENT, "the body must be a JSON object"
    )
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise wrong from error
    if not isinstance(raw, dict):
        raise wrong
    return raw


def metadata_of(headers: Mapping[str, str]) -> Metadata:
    """Give headers as gRPC has them; what it could not hold is left out."""
    return tuple(
        (name.lower(), value)
        for name, value in headers.items()
        if value.isascii() and value.isprintable()
    )


def shown_by(request: web.BaseRequest) -> Shown:
    """Give what a caller shows to be known."""
    return Shown(metadata_of(request.headers), certificate_of(request))


def certificate_of(request: web.BaseRequest) -> bytes:
    """Give the certificate of a connection, in DER; empty: none was shown."""
    if request.transport is None:
        return b""
    secured: ssl.SSLObject | None = request.transport.get_extra_info("ssl_object")
    return (secured and secured.getpeercert(binary_form=True)) or b""


def sender_of(request: web.BaseRequest) -> str:
    """Name who sent a request, as gRPC does: `ipv4:127.0.0.1:4711`."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not isinstance(peer, tuple):
        return "unknown:"
    host, port = peer[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
