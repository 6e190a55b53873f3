"""A reranker that costs next to nothing: TEI's answers, made once and sent as bytes.

Run as `python -m benchmarks.cost.backend DOCUMENTS`; it prints its address.
"""

import asyncio
import json
import re
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Canned(asyncio.Protocol):
    """Answers as soon as a request is there whole, without looking at it."""

    def __init__(self, answer: bytes, info: bytes) -> None:
        self._answer = answer
        self._info = info
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
            asked_about_itself = self._received.startswith(b"GET")
            del self._received[:whole]
            self._transport.write(self._info if asked_about_itself else self._answer)


def response(payload: object) -> bytes:
    body = json.dumps(payload).encode()
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def main(documents: int) -> None:
    answer = response(
        [
            {"index": index, "score": 4.0 - index * 0.07}
            for index in reversed(range(documents))
        ]
    )
    info = response({"model_id": "canned", "max_client_batch_size": documents})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(answer, info), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"listening on 127.0.0.1:{port},", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
