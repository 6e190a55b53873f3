"""The tables of `gateway/telemetry/README.md` are what is sent: no more and no less."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import gateway.telemetry
from gateway.backends.errors import FailureReason
from gateway.contract import Outcome, StageOutcome
from gateway.events import CircuitState, ReloadOutcome
from gateway.faces.connect import ConnectCall
from gateway.faces.paths import RERANKS
from gateway.ranking.method import SEARCH_METHODS
from gateway.ranking.normalize import Scale
from gateway.telemetry import catalogue, instruments, log_records, semconv, snapshot
from tests.e2e.running import rerank_request
from tests.support.otlp import points, value_of, values
from tests.telemetry.scenarios import GOOD, SCENARIOS, one_backend, told
from tests.telemetry.scene import Told

pytestmark = pytest.mark.real_time

TEXT = (Path(gateway.telemetry.__file__).parent / "README.md").read_text()

_TICKED = re.compile(r"`([^`]+)`")
_NUMBERED = re.compile(r"\.\d+\.document\.")


def table(section: str) -> list[list[str]]:
    """Read the cells of the first table below a heading."""
    _, _, rest = TEXT.partition(f"\n## {section}\n")
    assert rest, section
    lines = rest.partition("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]
    ]


def ticked(cell: str) -> list[str]:
    return _TICKED.findall(cell)


def parts(cell: str) -> set[str]:
    return {each.strip() for each in cell.split(",")} - {""}


ATTRIBUTES = {
    name: (kind, parts(where), many)
    for cell, kind, where, many, _ in table("Attributes of spans")
    for name in ticked(cell)
}
METRICS = {
    ticked(name)[0]: (kind, unit, ticked(attributes))
    for name, kind, unit, attributes in table("Metrics")
}
RECORDS = {
    ticked(event)[0]: (severity, ticked(attributes))
    for event, severity, attributes, _ in table("Log records")
}
VALUES = {
    name: set(ticked(re.sub(r"\([^)]*\)", "", cell)))
    for names, cell in table("Values")
    for name in ticked(names)
}
_METHODS = (
    semconv.SEARCH_METHOD,
    semconv.OUTPUT,
    semconv.REQUESTED_METHOD,
    semconv.RESULT_METHODS,
)


def _lower(names: Iterable[str]) -> set[str]:
    return {each.lower() for each in names}


OF_CODE: Mapping[str, set[str]] = {
    semconv.SPAN_KIND: {semconv.CHAIN, semconv.RETRIEVER, semconv.RERANKER},
    semconv.RPC_SYSTEM: {semconv.GRPC},
    semconv.FACE: {face.name for face, _ in RERANKS.values()} | {ConnectCall.face},
    semconv.HTTP_METHOD: {"POST"},
    semconv.OUTCOME: _lower(Outcome),
    semconv.FALLBACK_REASON: _lower(FailureReason),
    semconv.STAGE_OUTCOME: _lower(StageOutcome),
    semconv.CACHE_RESULT: {*instruments._RESULTS, "none"},
    semconv.SCALE: _lower(Scale),
    semconv.STAGE: {"embed", "retrieve", "mmr", "rerank"},
    semconv.CACHE_TIER: {"process", "shared"},
    semconv.EVICTION_REASON: {"ttl", "capacity"},
    semconv.EXTRA_CALL: {"retry", "hedge"},
    semconv.BILLED_UNIT: {"search_units", "tokens", "calls"},
    semconv.QUOTA: {
        *("requests_per_s", "documents_per_s", "max_concurrent_calls"),
        *("daily_calls", "daily_search_units", "daily_tokens", "daily_budget"),
    },
    semconv.SIGNAL: {"traces"},
    semconv.CONFIG_OUTCOME: _lower(ReloadOutcome),
    semconv.CIRCUIT_STATE: _lower(CircuitState),
    catalogue.STATE: _lower(CircuitState),
}
"""What the code can say, where it is a closed set."""

CODES = {code.name for code in grpc.StatusCode}
_CLASS = re.compile(r"[A-Z][a-z]\w+")


def may_say(key: str, value: object) -> bool:
    """Tell whether a value is one of those that are documented."""
    if key in _METHODS:
        said = value if isinstance(value, list) else [value]
        return {*said} <= SEARCH_METHODS
    if key == semconv.RPC_STATUS:
        return value in CODES
    if key == semconv.ERROR_TYPE:
        known = semconv.SERVER_ERRORS | OF_CODE[semconv.FALLBACK_REASON]
        return value in known | {"cancelled"} or bool(_CLASS.fullmatch(str(value)))
    return key not in VALUES or value in VALUES[key]


def place_of(span: Span) -> str:
    """Name a kind of span as the table does."""
    if span.kind == Span.SPAN_KIND_SERVER:
        return "call"
    if span.kind == Span.SPAN_KIND_CLIENT:
        return "attempt"
    return {"score": "attempt", "embed": "attempt", "rerank": "rerank"}.get(
        span.name, "mmr" if span.name.endswith(" mmr") else span.name.split()[0]
    )


def kind_of(value: Any) -> str:
    if isinstance(value, list):
        return f"{kind_of(value[0])}[]"
    names = {bool: "bool", int: "int", float: "double", str: "string"}
    return names[type(value)]


def emitted(seen: Told) -> Iterator[tuple[str, str, Any]]:
    """Give each attribute of each span: which, where, and what."""
    for span in seen.collector.spans:
        for each in span.attributes:
            key = _NUMBERED.sub(".N.document.", each.key)
            yield key, place_of(span), value_of(each.value)


@pytest.fixture
async def quoted() -> Told:
    """Run a gateway that quotes texts, which no scenario may."""
    environ = {"RERANK_GATEWAY_CAPTURE_CONTENT": "SPAN_ONLY"}
    async with one_backend(GOOD, environ=environ) as (scene, _):
        await scene.rerank(rerank_request(2))
    return scene.told


# What is sent is documented


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_attribute_that_is_sent_is_documented(name: str) -> None:
    for key, place, value in emitted(await told(name)):
        kind, places, _ = ATTRIBUTES[key]
        assert place in places, key
        assert kind_of(value) == kind, key
        assert may_say(key, value), (key, value)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_name_of_a_span_and_an_event_is_documented(name: str) -> None:
    known = {ticked(span)[0]: kind for span, kind, _ in table("Spans")}
    for span in (await told(name)).collector.spans:
        pattern = span.name
        if span.name.startswith("rerank.v1."):
            pattern = "PACKAGE.SERVICE/METHOD"
        elif span.name.startswith("retrieve "):
            assert span.name.removeprefix("retrieve ") in SEARCH_METHODS
            pattern = "retrieve METHOD"
        assert known[pattern] == Span.SpanKind.Name(span.kind).removeprefix(
            "SPAN_KIND_"
        )
        for event in span.events:
            assert f"`{event.name}`" in TEXT
            for attribute in event.attributes:
                assert attribute.key in ATTRIBUTES


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_metric_that_is_sent_is_documented(name: str) -> None:
    for metric in (await told(name)).collector.last_metrics.values():
        kind, unit, attributes = METRICS[metric.name]
        data = str(metric.WhichOneof("data"))
        if data == "sum":
            data = "counter" if metric.sum.is_monotonic else "sum"
        assert (data, metric.unit) == (kind, unit)
        for point in points(metric):
            for key, value in values(point.attributes).items():
                assert key in attributes
                assert may_say(key, value), (metric.name, key, value)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_log_record_that_is_sent_is_documented(name: str) -> None:
    for record in (await told(name)).collector.records:
        severity, attributes = RECORDS[record.event_name]
        number = SeverityNumber.Name(record.severity_number)
        assert number.removeprefix("SEVERITY_NUMBER_") in severity
        said = values(record.attributes)
        assert sorted(said) == sorted(attributes)
        assert all(may_say(*each) for each in said.items())
        assert not record.body.ByteSize()


async def test_every_signal_says_who_tells_it() -> None:
    collector = (await told("a_bug_in_the_middle")).collector
    resources = [
        *(each.resource for sent in collector.traces for each in sent.resource_spans),
        *(
            each.resource
            for sent in collector.metrics
            for each in sent.resource_metrics
        ),
        *(each.resource for sent in collector.logs for each in sent.resource_logs),
    ]
    assert len(resources) >= 3
    for each in resources:
        said = {
            key: value
            for key, value in values(each.attributes).items()
            if not key.startswith("telemetry.sdk.")
        }
        assert {*said} == {"service.name", "service.version", "service.instance.id"}
        assert all(f"`{key}`" in TEXT for key in said)
        assert said["service.name"] == "rerank-gateway"


# What is documented exists


def test_attributes_are_those_that_the_code_names() -> None:
    lists = (semconv.RETRIEVED, semconv.RERANKED)
    names = {
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str) and "." in value
    }
    of_metrics = {key for _, _, keys in METRICS.values() for key in keys}
    of_records = {key for _, keys in RECORDS.values() for key in keys}
    documented = {
        next((each for each in lists if name.startswith(f"{each}.")), name)
        for name in ATTRIBUTES
    }
    assert documented | of_metrics | of_records == names | {catalogue.STATE}


def test_metrics_are_those_of_the_catalogue() -> None:
    of_process = snapshot._OF_PROCESS.values()
    kinds = {
        catalogue.Kind.COUNTER: "counter",
        catalogue.Kind.UP_DOWN: "sum",
        catalogue.Kind.GAUGE: "gauge",
        catalogue.Kind.HISTOGRAM: "histogram",
    }
    assert {
        metric.name: (kinds[metric.kind], metric.unit, [*metric.attributes])
        for metric in (*catalogue.METRICS, *of_process)
    } == METRICS


def test_values_are_those_of_the_code() -> None:
    bases, stages = VALUES[semconv.SEARCH_METHOD], set[str]()
    for each in [*bases]:
        if each.startswith("+"):
            bases, stages = bases - {each}, stages | {each}
    alone = {"rerank", "input_order"}
    combined = {base + stage for base in bases - alone for stage in stages | {""}}
    assert combined | alone == SEARCH_METHODS
    assert {key: each for key, each in VALUES.items() if key not in _METHODS} == OF_CODE


def test_log_records_are_those_of_the_code() -> None:
    assert RECORDS.keys() == {log_records.CIRCUIT_CHANGED, log_records.CALL_BROKE}


def test_bounds_are_those_of_the_code() -> None:
    for words in (
        f"first {semconv.MOST_RESULTS} results",
        f"first {semconv.MOST_DOCUMENTS} after",
        f"first {semconv.MOST_DOCUMENTS} that",
        f"{semconv.LONGEST_ID} characters each",
        f"{semconv.LONGEST_TEXT} characters",
        f"{catalogue.MOST_SERIES} series",
    ):
        assert words in TEXT
    for name in catalogue.OPEN:
        assert f"`{name}`" in TEXT.partition("series at most")[2].partition("_OTHER")[0]
    for status in semconv.SERVER_ERRORS:
        assert f"`{status}`" in TEXT


async def test_every_attribute_that_is_documented_is_sent_somewhere(
    quoted: Told,
) -> None:
    found = {
        (key, place)
        for seen in [quoted, *[await told(name) for name in SCENARIOS]]
        for key, place, _ in emitted(seen)
    }
    documented = {
        (name, place) for name, (_, places, _) in ATTRIBUTES.items() for place in places
    }
    assert found == documented


async def test_every_span_that_is_documented_is_sent_somewhere() -> None:
    names = {
        span.name for name in SCENARIOS for span in (await told(name)).collector.spans
    }
    for span, _, _ in table("Spans"):
        (pattern,) = ticked(span)
        known = re.compile(re.sub("PACKAGE.SERVICE/METHOD|METHOD", r"\\S+", pattern))
        assert any(known.fullmatch(each) for each in names), pattern


async def test_what_documents_say_beside_their_score_is_documented() -> None:
    said: dict[str, set[str]] = {}
    for name in SCENARIOS:
        for key, _, value in emitted(await told(name)):
            if key.endswith(".metadata"):
                said.setdefault(key, set()).update(json.loads(value))
    rows: Sequence[Sequence[str]] = table("Attributes of spans")
    documented = {
        ticked(cell)[0]: set(ticked(words))
        for cell, _, _, _, words in rows
        if ticked(cell)[0].endswith(".metadata")
    }
    assert said == documented
