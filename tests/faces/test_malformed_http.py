"""Five thousand requests that are wrong in every way: each gets a clear error, and no bug."""

import http.client
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.faces import connect
from gateway.faces.paths import RERANKS
from tests.faces.asking import PATIENCE_S, facing_from_a_thread

pytestmark = [
    pytest.mark.real_time,
    # Of what failed, which is large.
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning"),
]

_ROUNDS = 125
_IN_A_ROUND = 20
_ENOUGH = _ROUNDS * _IN_A_ROUND

_PATHS = [*RERANKS, *(connect.path_of(method) for method in connect.methods())]
_GOOD = {
    "query": "a",
    "documents": ["one", "two"],
    "texts": ["one", "two"],
    "model": "x",
    "top_n": 1,
    "top_k": 1,
    "rank_fields": ["text"],
    "return_documents": True,
    "raw_scores": True,
    "truncate": True,
    "truncation_direction": "Left",
}
_BODY = json.dumps(_GOOD).encode()


@pytest.fixture(scope="module", autouse=True)
def every_task_is_awaited() -> None:
    """Leave that to the thread in which the gateway is."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Run a gateway in a thread, and give where its faces are."""
    folder: Path = tmp_path_factory.mktemp("collections")
    with facing_from_a_thread(
        folder,
        retrieval={"timeout_s": "0.2"},
        # Whoever makes up what is sent here keeps this process from its work at times.
        server={"max_message_bytes": 20_000, "max_lag_s": 60},
    ) as scene:
        host, _, port = scene.gateway.server.http_address.rpartition(":")
        yield host, int(port)


# What fails is told as it is: to make it smaller would take minutes.
_bounded = settings(
    max_examples=_ROUNDS,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


# What is sent

_numbers = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([2**31, -(2**31) - 1, 2**63, 1e400, 1e308, 0.1])
)
_scalars = st.none() | st.booleans() | _numbers | st.text(max_size=20)
_names = st.sampled_from([*_GOOD, "Query", "", "query_embedding", "failurePolicy"])
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_names | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def _with(field: str, value: object) -> bytes:
    return json.dumps({**_GOOD, field: value}).encode("utf-8", "surrogatepass")


def _without(fields: set[str]) -> bytes:
    return json.dumps({k: v for k, v in _GOOD.items() if k not in fields}).encode()


@st.composite
def _mutated(draw: st.DrawFn, good: bytes) -> bytes:
    """Change some bytes of what is right: others, fewer, more, or twice the same."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["set", "cut", "put", "twice", "end"])):
            case "set":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[at : at + draw(st.integers(1, 10))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "twice":
                data[at:at] = data[at : at + draw(st.integers(1, 30))]
            case "end":
                del data[at:]
    return bytes(data)


_bodies = st.one_of(
    st.binary(max_size=50),
    _values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.builds(_with, _names, _values),
    st.builds(_with, st.sampled_from(["documents", "texts"]), st.lists(_values)),
    st.sets(_names, min_size=1).map(_without),
    _mutated(_BODY),
    st.sampled_from(
        [
            _BODY * 2,
            _BODY + b"\x00",
            b"\xef\xbb\xbf" + _BODY,
            b'{"query": "a", "query": 3}',
            b'{"query": "\\ud800", "documents": []}',
            b'{"query": "a", "documents": [' + b"[" * 900 + b"]" * 900 + b"]}",
            b'{"query": "a", "documents": ['
            + b'{"a":' * 200
            + b"1"
            + b"}" * 200
            + b"]}",
            b'{"query": "a", "documents": [], "top_n": ' + b"9" * 5000 + b"}",
            b'{"query": "a", "documents": [], "top_n": -Infinity}',
            b" " * 30_000,
            _BODY.decode().encode("utf-16"),
        ]
    ),
)
_headers = st.fixed_dictionaries(
    {
        "Content-Type": st.sampled_from(["application/json"] * 6)
        | st.sampled_from(
            ["", "text/plain", "application/json; charset=latin-1", "a/b/c", ";", "*/*"]
            + ["application/proto"] * 3
        )
    },
    optional={
        "x-failure-policy": st.sampled_from(["error", "keep_order", "", "x"]),
        "x-rerank-route": st.sampled_from(["default", "nowhere", "\xe4", ""]),
        "x-rerank-caller": st.sampled_from(["me", "\xff", "a" * 100]),
        "x-timeout-s": st.sampled_from(["x", "-1", "1e5", "5", "nan", "9" * 30]),
        "connect-protocol-version": st.sampled_from(["1", "2", ""]),
        "grpc-timeout": st.sampled_from(["5S", "5", "S", "999999999S"]),
        "traceparent": st.sampled_from(["00-a-b-01", "", "\x7f", "0" * 55]),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "x"]),
    },
)
_whole = st.tuples(
    st.sampled_from(
        ["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]
    ),
    st.sampled_from(_PATHS) | st.sampled_from(["/", "/health", "/v1", "//", "/info"]),
    _headers,
    _bodies,
)


def _written(start: bytes, headers: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join([start, *headers, b"", body])


_TEI = _written(
    b"POST /tei/rerank HTTP/1.1",
    [b"Host: x", b"Content-Type: application/json", b"Content-Length: %d" % len(_BODY)],
    _BODY,
)
_CHUNKED = _written(
    b"POST /tei/rerank HTTP/1.1",
    [b"Host: x", b"Content-Type: application/json", b"Transfer-Encoding: chunked"],
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY),
)
_odd_lengths = st.sampled_from(
    [b"-1", b"x", b"1e3", b"+5", b"", b"9" * 30, b"5, 5", b"0x10", b"1000000"]
).map(
    lambda said: _TEI.replace(b"Content-Length: ", b"Content-Length: %b\r\nX: " % said)
)
_odd_codings = st.sampled_from(
    [b"gzip", b"chunked, gzip", b"identity", b"", b"chunked\r\nContent-Length: 5", b"x"]
).map(lambda said: _CHUNKED.replace(b"chunked", said, 1))
_odd_chunks = st.sampled_from(
    [
        b"zz\r\n",
        b"-5\r\n",
        b"5\nabcde",
        b"ffffffffffffffffff\r\n",
        b"5;a=b\r\nabc",
        b"\r\n",
    ]
).map(lambda said: _CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + said)
_odd_starts = st.sampled_from(
    [
        b"POST /tei/rerank HTTP/9.9",
        b"POST /tei/rerank",
        b"POST  HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"get /health HTTP/1.1",
        b"GET http://[::bad/ HTTP/1.1",
        b"GET /%zz%00 HTTP/1.1",
        b"GET /health?" + b"a" * 70_000 + b" HTTP/1.1",
        b"GET /health HTTP/1.1\r\nX: " + b"a" * 70_000,
        b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 500,
        b"GET /health HTTP/1.1\r\n : nameless",
        b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y",
        b"CONNECT a:1 HTTP/1.1",
        b"GET /health HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade",
    ]
).map(lambda start: start + b"\r\n\r\n")
_raw = st.one_of(
    st.binary(max_size=100),
    _mutated(_TEI),
    _mutated(_CHUNKED),
    _odd_lengths,
    _odd_codings,
    _odd_chunks,
    _odd_starts,
)


class Caller:
    """Sends what it is given, and counts."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place
        self._kept = http.client.HTTPConnection(*place, timeout=PATIENCE_S)
        self.sent = 0

    def close(self) -> None:
        """Hang up."""
        self._kept.close()

    def whole(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> int:
        """Send a request whose frame is right; gives the status."""
        self.sent += 1
        try:
            self._kept.request(method, path, body, headers)
            response = self._kept.getresponse()
            response.read()
        except (http.client.HTTPException, OSError):  # it was closed after an error
            self._kept.close()
            self._kept.request(method, path, body, headers)
            response = self._kept.getresponse()
            response.read()
        return response.status

    def raw(self, data: bytes) -> list[int]:
        """Send bytes and no more; gives the statuses that come back."""
        self.sent += 1
        answer = b""
        with (
            socket.create_connection(self._place, timeout=PATIENCE_S) as connection,
            suppress(ConnectionError),
        ):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        return [
            int(line.split(b" ")[1])
            for line in answer.split(b"\r\n")
            if line.startswith(b"HTTP/1.1 ")
        ]

    def is_well(self) -> bool:
        """Ask as one should."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"query": "a", "texts": ["b"]}).encode()
        return self.whole("POST", "/tei/rerank", headers, body) == 200


def _no_bugs(records: list[logging.LogRecord]) -> bool:
    return not [each for each in records if each.levelno >= logging.ERROR]


def test_requests_whose_content_is_wrong(
    place: tuple[str, int],
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caller = Caller(place)
    request.addfinalizer(caller.close)

    @given(st.lists(_whole, min_size=_IN_A_ROUND, max_size=_IN_A_ROUND))
    @_bounded
    def check(requests: list[Any]) -> None:
        for method, path, headers, body in requests:
            status = caller.whole(method, path, headers, body)
            assert status == 200 or 400 <= status < 500, (status, method, path, body)
        assert caller.is_well()

    check()
    assert caller.sent >= _ENOUGH
    assert _no_bugs(caplog.records)


def test_bytes_that_are_no_request(
    place: tuple[str, int],
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caller = Caller(place)
    request.addfinalizer(caller.close)

    @given(st.lists(_raw, min_size=_IN_A_ROUND, max_size=_IN_A_ROUND))
    @_bounded
    def check(sent: list[bytes]) -> None:
        for data in sent:
            for status in caller.raw(data):
                assert status < 500, (status, data)
        assert caller.is_well()

    check()
    assert caller.sent >= _ENOUGH
    assert _no_bugs(caplog.records)
