"""The commands, run as users run them."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from rerank.v1 import execution_pb2, rerank_service_pb2_grpc
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import command, serving
from tests.e2e.vendor import Exchange, Vendor

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PLAIN = "a short one\n\na somewhat longer one\nthe longest one of all of them\n"
_ORDER = ["the longest one of all of them", "a somewhat longer one", "a short one"]


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    play = _SHAPE.scored(lambda text: len(text) / 10)
    async with Vendor(play, info=_SHAPE.info) as vendor:
        yield vendor


def _one_backend(vendor: Vendor) -> dict[str, str]:
    return {"RERANK_GATEWAY_BACKEND": f"tei+{vendor.url}"}


def _problems(said: str) -> list[str]:
    return said.splitlines()


# serve


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_answers_until_a_signal_and_ends_well(
    vendor: Vendor, number: int
) -> None:
    async with serving(environ=_one_backend(vendor)) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
            response = await stub.Rerank(rerank_request(3), timeout=20)
        finished = await server.stop(number)

    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert finished.code == 0
    assert "Traceback" not in finished.err
    assert finished.err.endswith("stopped\n")


async def test_serve_lets_a_call_in_flight_finish(vendor: Vendor) -> None:
    may_answer = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await may_answer.wait()
        await _SHAPE.scored(place_of)(exchange)

    vendor.play = play
    async with serving(environ=_one_backend(vendor)) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
            call = stub.Rerank(rerank_request(3), timeout=20)
            await vendor.until(lambda: vendor.in_progress == 1)
            server.send_signal(signal.SIGTERM)
            await server.read_until("stopping: calls in flight have 10 s to finish")
            may_answer.set()
            response = await call
        finished = await server.ended()

    assert [result.index for result in response.results] == [2, 1, 0]
    assert finished.code == 0


@pytest.mark.parametrize(
    "given",
    [("--address",), ("--address", "127.0.0.1:0", "--metrics-address")],
    ids=["calls", "metrics"],
)
async def test_serve_says_in_one_line_that_its_port_is_in_use(
    vendor: Vendor, given: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finished = await command("serve", *given, address, environ=_one_backend(vendor))

    assert finished.code == 1
    assert _problems(finished.err) == [
        f"rerank-gateway: cannot listen on {address}: Address already in use"
    ]
    assert not finished.out


_WRONG = """
[server]
grace_s = -1
colour = "green"

[backends.Wrong]
dialect = "tei"
url = "http://localhost:1"

[backends.nameless]
dialect = "cohere-v2"

[backends.nowhere]
dialect = "llamacpp"

[backends.odd]
dialect = "telepathy"

[routes.default]
backends = ["missing"]
timeout_s = 0
"""


async def test_serve_says_everything_that_is_wrong_before_it_listens(
    tmp_path: Path,
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(_WRONG)
    # It would fail there with another code, had it come to listening.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finished = await command("serve", "--config", str(file), "--address", address)

    assert finished.code == 2
    assert not finished.out
    _assert_all_told(finished.err)


async def test_check_says_everything_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(_WRONG)

    finished = await command("check", str(file))

    assert finished.code == 2
    assert not finished.out
    _assert_all_told(finished.err)


def _assert_all_told(said: str) -> None:
    paths = [line.partition(":")[0] for line in _problems(said)]
    assert sorted(paths) == [
        "backends.Wrong",
        "backends.nameless.model",
        "backends.nowhere.scale",
        "backends.nowhere.url",
        "backends.odd.dialect",
        "routes.default.backends.0",
        "routes.default.timeout_s",
        "server.colour",
        "server.grace_s",
    ]


# check


async def test_check_praises_a_correct_file_and_warns_of_keys_that_are_missing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "right.toml"
    file.write_text(
        """
        [backends.tei]
        dialect = "tei"
        url = "http://localhost:1"
        api_key_env = "NOT_SET_ANYWHERE"

        [backends.spare]
        dialect = "cohere-v2"
        model = "rerank-v3.5"

        [routes.default]
        backends = ["tei"]
        """
    )

    finished = await command("check", str(file))

    assert finished.code == 0
    assert not finished.err
    praise, *warnings = finished.out.splitlines()
    assert praise == f"{file}: correct, with 1 route(s)"
    assert warnings == [
        (
            "warning: backends.tei: environment variable NOT_SET_ANYWHERE is not set;"
            " it is not asked"
        ),
        "warning: backends.spare: no route uses it",
    ]


async def test_check_names_a_file_and_its_problems_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "x[" / "red][bold]:key:.toml"
    file.parent.mkdir()
    file.write_text('[backends.tei]\ndialect = "tei"\nurl = "http://localhost:1"\n')

    finished = await command("check", str(file))

    assert finished.code == 0, finished.err
    assert finished.out.startswith(f"{file}: correct")


# backends and rerank, with names that look like markup


@pytest.mark.parametrize(
    "arguments", [("backends",), ("rerank", "-", "--query", "which?")]
)
async def test_a_model_is_shown_by_the_name_that_its_server_gives(
    vendor: Vendor, arguments: tuple[str, ...]
) -> None:
    name = "x[/red][local]:key:"
    vendor.info = {"model_id": name, "max_client_batch_size": 32}

    finished = await command(
        *arguments, environ=_one_backend(vendor), stdin=f"a {name}\nb {name}\n"
    )

    assert finished.code == 0, finished.err
    assert name in finished.out
    if arguments[0] == "rerank":
        assert finished.out.count(name) == 3


# rerank


async def test_rerank_shows_plain_lines_before_and_after(
    vendor: Vendor, tmp_path: Path
) -> None:
    file = tmp_path / "documents.txt"
    file.write_text(_PLAIN)

    finished = await command(
        "rerank", "--query", "which?", str(file), environ=_one_backend(vendor)
    )

    assert finished.code == 0, finished.err
    heading, *rows = finished.out.splitlines()
    assert heading.split() == ["rank", "before", "score", "search_method", "document"]
    assert [row.split("rerank", 1)[1].strip() for row in rows[:3]] == _ORDER
    assert rows[0].split()[:3] == ["1", "3", "↑2"]
    assert rows[4].startswith("RERANKED: Cross-Encoder Reranking")
    assert "with tei (BAAI/bge-reranker-base)" in rows[5]


async def test_rerank_reads_json_lines_from_standard_input_and_writes_json(
    vendor: Vendor,
) -> None:
    lines = [
        {"_id": "d1", "title": "A title", "text": "short", "score": 0.5},
        {"id": "d2", "text": "a text that is longer than the other", "score": 0.25},
    ]

    finished = await command(
        *("rerank", "-", "--query", "which?", "--json"),
        *("--search-method", "rrf_hybrid"),
        environ=_one_backend(vendor),
        stdin="\n".join(json.dumps(line) for line in lines),
    )

    assert finished.code == 0, finished.err
    response = json.loads(finished.out)
    assert [result["id"] for result in response["results"]] == ["d2", "d1"]
    assert [result["retrieval_score"] for result in response["results"]] == [0.25, 0.5]
    assert response["search_method"] == "rrf_hybrid+rerank"
    assert response["execution"]["outcome"] == "OUTCOME_RERANKED"
    assert vendor.received[-1].json["texts"] == [
        "A title\nshort",
        "a text that is longer than the other",
    ]


async def test_rerank_asks_a_gateway_that_is_running(vendor: Vendor) -> None:
    async with serving(environ=_one_backend(vendor)) as server:
        finished = await command(
            *("rerank", "-", "--query", "which?", "--top-n", "2", "--json"),
            *("--address", server.address),
            stdin=_PLAIN,
        )

    assert finished.code == 0, finished.err
    results = json.loads(finished.out)["results"]
    # What is 0 is not written.
    assert [result.get("index", 0) for result in results] == [2, 1]
    assert len(vendor.received) == 1


async def test_rerank_shows_that_it_fell_back(vendor: Vendor) -> None:
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    vendor.play = reset

    finished = await command(
        *("rerank", "-", "--query", "which?"),
        environ=_one_backend(vendor),
        stdin=_PLAIN,
    )

    assert finished.code == 0
    assert "FELL_BACK: Order received only: reranking fell back" in finished.out
    assert "(tei: UNAVAILABLE after" in finished.out


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["rerank", "-"], "", "query"),
        (["rerank", "--query", "q"], "", "file"),
        (["rerank", "no-such-file", "--query", "q"], "", "no-such-file"),
        (["rerank", "-", "--query", "q"], '{"text": "a"}\n{"no": 1}', "-:2"),
        (["rerank", "-", "--query", "q", "--top-n", "x"], "a", "top-n"),
        (["rerank", "-", "--query", "q", "--route", "nowhere"], "a", "NOT_FOUND"),
        (["rerank", "-", "--query", " "], "a", "INVALID_ARGUMENT"),
        (["rerank", "-", "--query", "q", "--colour"], "a", "colour"),
        (["serve", "--address", "nonsense"], "", "server.address"),
        (["serve", "--config", "no-such-file"], "", "no-such-file"),
        (["check", "no-such-file"], "", "no-such-file"),
        (["dance"], "", "dance"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_a_users_mistake_is_told_in_one_line(
    vendor: Vendor, arguments: list[str], stdin: str, said: str
) -> None:
    finished = await command(*arguments, environ=_one_backend(vendor), stdin=stdin)

    assert finished.code == 2
    assert len(_problems(finished.err)) == 1, finished.err
    assert said in finished.err.lower() or said in finished.err
    assert not finished.out


async def test_rerank_says_in_one_line_that_no_gateway_is_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        finished = await command(
            *("rerank", "-", "--query", "q", "--address", address), stdin="a"
        )

    assert finished.code == 1
    assert len(_problems(finished.err)) == 1, finished.err
    assert "UNAVAILABLE" in finished.err


async def test_help_names_every_command() -> None:
    finished = await command("--help")

    assert finished.code == 0
    for name in ("serve", "check", "rerank"):
        assert name in finished.out
