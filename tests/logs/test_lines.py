"""Lines, for people and for machines."""

import time
from collections.abc import Iterator

import orjson
import pytest

from gateway.events import CallEnded
from gateway.logs.lines import CallLine, Entry, Line, for_machines, for_people

CALL = CallEnded(
    "rerank.v1.SearchService/Search",
    "OK",
    0.0123456789,
    outcome="RERANKED",
    search_method="rrf_hybrid+rerank",
    route="default",
    backend="tei",
    model="BAAI/bge",
    candidates=100,
    scored=90,
    cached=40,
    returned=10,
    attempts=2,
    stages=(("retrieve", 0.002), ("rerank", 0.0101234567)),
)
CREATED = 1_700_000_000.9996
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def in_the_east() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC-2")
        time.tzset()
        yield
    time.tzset()


def test_people_read_their_time_the_level_and_words() -> None:
    entry = Entry(CREATED, "INFO", "gateway", CallLine(CALL), TRACE)
    assert for_people(entry).decode() == (
        "2023-11-15 00:13:20.999 INFO gateway: Search OK in 0.012 s: RERANKED by tei "
        "(BAAI/bge), rrf_hybrid+rerank, 100 candidates, 90 scored, 40 remembered, "
        f"10 returned, 2 attempts trace_id={TRACE}\n"
    )


def test_of_several_workers_each_is_named() -> None:
    entry = Entry(CREATED, "INFO", "gateway", "words", TRACE, worker=0)
    assert for_people(entry).decode().endswith(f": words worker=0 trace_id={TRACE}\n")
    assert orjson.loads(for_machines(entry))["worker"] == 0


def test_machines_read_one_object() -> None:
    entry = Entry(CREATED, "INFO", "gateway", CallLine(CALL), TRACE)
    line = for_machines(entry)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == {
        "time": "2023-11-14T22:13:20.999Z",
        "level": "INFO",
        "logger": "gateway",
        "message": "rerank.v1.SearchService/Search OK",
        "trace_id": TRACE,
        "event": "call",
        "method": "rerank.v1.SearchService/Search",
        "status": "OK",
        "duration_s": 0.012346,
        "outcome": "RERANKED",
        "search_method": "rrf_hybrid+rerank",
        "fallback": False,
        "route": "default",
        "backend": "tei",
        "model": "BAAI/bge",
        "candidates": 100,
        "scored": 90,
        "cached": 40,
        "returned": 10,
        "attempts": 2,
        "stages": {"retrieve": 0.002, "rerank": 0.010123},
    }


def test_a_call_without_an_answer_has_no_facts_of_one() -> None:
    call = CallEnded("rerank.v1.SearchService/Search", "NOT_FOUND", 0.1)
    line = orjson.loads(for_machines(Entry(CREATED, "INFO", "gateway", CallLine(call))))
    assert set(line) == {
        *("time", "level", "logger", "message"),
        *("event", "method", "status", "duration_s"),
    }


def test_a_call_that_brings_many_requests_says_what_became_of_them() -> None:
    call = CallEnded(
        "rerank.v1.RerankService/RerankBatch",
        "OK",
        0.1,
        fallback=True,
        requests=1000,
        refused=3,
        fell_back=12,
    )
    entry = Entry(CREATED, "INFO", "gateway", CallLine(call))
    assert for_people(entry).endswith(
        b"RerankBatch OK in 0.100 s: 1000 requests, 3 refused, 12 fell back\n"
    )
    line = orjson.loads(for_machines(entry))
    assert set(line) == {
        *("time", "level", "logger", "message"),
        *("event", "method", "status", "duration_s"),
        *("requests", "refused", "fell_back", "fallback"),
    }
    assert (line["requests"], line["refused"], line["fell_back"]) == (1000, 3, 12)


def test_a_line_without_a_trace_names_none() -> None:
    entry = Entry(CREATED, "WARNING", "grpc", "something")
    assert "trace_id" not in orjson.loads(for_machines(entry))
    assert for_people(entry).decode() == (
        "2023-11-15 00:13:20.999 WARNING grpc: something\n"
    )


def test_a_name_cannot_end_a_line_nor_move_the_cursor() -> None:
    model = "m\n2023-11-14 FORGED\x1b[2J\u202e\u2028"
    entry = Entry(CREATED, "INFO", "gateway", Line(model, {"model": model}))
    assert for_people(entry).decode() == (
        "2023-11-15 00:13:20.999 INFO gateway: "
        r"m\n2023-11-14 FORGED\x1b[2J\u202e\u2028"
        "\n"
    )
    line = for_machines(entry)
    assert line.count(b"\n") == 1
    assert orjson.loads(line)["model"] == model


def test_half_a_character_is_shown_as_such() -> None:
    entry = Entry(CREATED, "INFO", "gateway", "caf\u00e9 \udce9")
    assert for_people(entry).decode().endswith("gateway: caf\u00e9 \\udce9\n")
    assert orjson.loads(for_machines(entry))["message"] == "caf\u00e9 \\udce9"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_does_no_harm(number: float) -> None:
    entry = Entry(CREATED, "INFO", "gateway", Line("words", {"score": number}))
    assert orjson.loads(for_machines(entry))["score"] is None
