"""Rerankers that are played: one judges by words, the others fail, each in its own way.

The first part of the path says which one is asked: `/judge/rerank`, `/down/rerank`.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log

MODEL = "words-in-common"


class PlayedRerankers(ThreadingHTTPServer):
    """All of them, on one port."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ended = threading.Event()
        self.seen: set[str] = set()
        """Queries that `recovers` was asked."""

    @property
    def url(self) -> str:
        """Where they listen."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a gateway that waited long enough has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PlayedRerankers

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        who = self.path.split("/")[1]
        _PLAYED[who](self, asked["query"], asked["documents"])

    def judge(self, query: str, texts: list[str]) -> None:
        """Answer with probabilities."""
        self._scores([probability(query, text) for text in texts])

    def logits(self, query: str, texts: list[str]) -> None:
        """Answer with the logits of the same."""
        shares = [probability(query, text) for text in texts]
        self._scores([log(share / (1 - share)) for share in shares])

    def recovers(self, query: str, texts: list[str]) -> None:
        """Fail the first time a query comes, and judge from then on."""
        if query in self.server.seen:
            self.judge(query, texts)
        else:
            self.server.seen.add(query)
            self._answer(503, b'{"error": "not yet"}')

    def hangs(self, *_: object) -> None:
        """Answer nothing until the end."""
        self.server.ended.wait()
        self.close_connection = True

    def refuses(self, status: int) -> None:
        """Answer with an error."""
        self._answer(status, b'{"error": "played"}')

    def babbles(self, *_: object) -> None:
        """Answer 200, and nothing that can be read."""
        self._answer(200, b"<html>It works!</html>")

    def _scores(self, scores: list[float]) -> None:
        results = [
            {"index": index, "relevance_score": score}
            for index, score in enumerate(scores)
        ]
        self._answer(200, json.dumps({"model": MODEL, "results": results}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _refusing(status: int) -> Callable[[_Handler, str, list[str]], None]:
    return lambda handler, _query, _texts: handler.refuses(status)


_PLAYED: dict[str, Callable[[_Handler, str, list[str]], None]] = {
    "judge": _Handler.judge,
    "logits": _Handler.logits,
    "recovers": _Handler.recovers,
    "slow": _Handler.hangs,
    "hanging": _Handler.hangs,
    "garbled": _Handler.babbles,
    "down": _refusing(503),
    "busy": _refusing(429),
    "locked": _refusing(401),
    "narrow": _refusing(413),
    "picky": _refusing(400),
}


def probability(query: str, text: str) -> float:
    """Give 1/16 with none of the query's words in the text, and 15/16 with all of them.

    The numbers in between are exact in binary where the query has 1, 2, 4 or 7 words.
    """
    words = _words(query)
    return (1 + 14 * len(words & _words(text)) / max(len(words), 1)) / 16


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@contextmanager
def played_rerankers() -> Iterator[PlayedRerankers]:
    """Play them until the block ends."""
    server = PlayedRerankers()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
