"""A reranker that the demo plays, to make it slow or let it fail at will.

It speaks as HuggingFace TEI does. Its scores are simple and real: which of the query's
words are in the text, and how often.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "words-in-common"
SLOW_S = 3.0
MOST_TEXTS = 1000
"""In one call."""


class Fault(Enum):
    """What is the matter with it."""

    NONE = auto()
    SLOW = auto()
    DOWN = auto()


class PlayedReranker(ThreadingHTTPServer):
    """Answers until it is told to fail."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fault = Fault.NONE

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a caller that waited long enough has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PlayedReranker

    def do_GET(self) -> None:
        self._answer(200, {"model_id": MODEL, "max_client_batch_size": MOST_TEXTS})

    def do_POST(self) -> None:
        began = time.perf_counter()
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.fault
        if fault is Fault.DOWN:
            self._answer(503, {"error": "played by the demo", "error_type": "Backend"})
            return
        if fault is Fault.SLOW:
            time.sleep(SLOW_S)
        scores = score(request["query"], request["texts"])
        ranked = sorted(enumerate(scores), key=lambda each: -each[1])
        took_ms = (time.perf_counter() - began) * 1000
        self._answer(
            200,
            [{"index": index, "score": value} for index, value in ranked],
            {"x-inference-time": f"{took_ms:.0f}", "x-queue-time": "0"},
        )

    def _answer(
        self, status: int, body: object, headers: dict[str, str] | None = None
    ) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def score(query: str, texts: list[str]) -> list[float]:
    """Give each text a logit: -4 with none of the query's words, towards 4 with all.

    A long word tells more than a short one, and one that is there again a little more.
    """
    weights = {word: len(word) for word in _words(query)}
    total = max(sum(weights.values()), 1)
    counts = [Counter(_words(text)) for text in texts]
    shares = [
        sum(weight * _told(count[word]) for word, weight in weights.items()) / total
        for count in counts
    ]
    return [8 * share - 4 for share in shares]


def _told(count: int) -> float:
    return count / (count + 0.25)


def _words(text: str) -> list[str]:
    return re.findall(r"\w{3,}", text.lower())


@contextmanager
def a_played_reranker() -> Iterator[PlayedReranker]:
    """Listen on a free port."""
    with PlayedReranker() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
