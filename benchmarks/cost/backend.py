"""A reranker that costs little: TEI's answers, made once and sent as bytes.

For machines without Go; `benchmarks/native/backend` is faster and speaks more. Run as
`python -m benchmarks.cost.backend`; it prints its address.
"""

import asyncio
import json
import re
from functools import cache
from typing import cast

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_DOCUMENTS = re.compile(rb'"query" *: *"(\d+)')
_PEEKED = 256
_STEP = 37
_INFO = {"model_id": "canned", "model_sha": "1", "max_client_batch_size": 100_000}


class Canned(asyncio.Protocol):
    """Answers as soon as a request is there whole, and looks only at its first words."""

    def __init__(self) -> None:
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is there whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            if self._received.startswith(b"GET"):
                answer = _response(_INFO)
            else:
                asked = _DOCUMENTS.search(self._received, end, end + _PEEKED)
                answer = scores(int(asked[1]) if asked else 1)
            del self._received[:whole]
            self._transport.write(answer)


@cache
def scores(documents: int) -> bytes:
    """Score so many documents, best first and well mixed."""
    step = _STEP if documents % _STEP else 1
    return _response(
        [
            {"index": rank * step % documents, "score": 4 - 8 * rank / documents}
            for rank in range(documents)
        ]
    )


def _response(payload: object) -> bytes:
    body = json.dumps(payload).encode()
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http 127.0.0.1:{port}")
    print(f"listening on 127.0.0.1:{port},", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
