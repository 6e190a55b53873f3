"""What was told, as a text for people that is the same at every run."""

import json
import os
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.telemetry import semconv
from tests.support.otlp import counted, values
from tests.telemetry.scene import Told

FOLDER = Path(__file__).parent / "golden"

_WIDTH = 96
_DIGITS = 6
_KINDS = {
    number: name.removeprefix("SPAN_KIND_") for name, number in Span.SpanKind.items()
}
_STATUSES = {
    number: name.removeprefix("STATUS_CODE_")
    for name, number in Status.StatusCode.items()
}
_MASKED = {
    semconv.SERVER_PORT: "<port>",
    semconv.BUDGET: "<seconds>",
    semconv.CACHE_AGE: "<seconds>",
}
_LISTS = (semconv.RETRIEVED, semconv.RERANKED)


def text_of(told: Told) -> str:
    """Write down all of it that does not depend on time and place."""
    return _pretty(
        {
            "traces": _traces(told),
            "log records": [
                {
                    "event": record.event_name,
                    "severity": record.severity_text or record.severity_number,
                    **({"in a trace": True} if record.trace_id else {}),
                    "attributes": values(record.attributes),
                }
                for record in told.collector.records
            ],
            "metrics": _metrics(told.collector.last_metrics),
        }
    )


def matches(name: str, told: Told) -> None:
    """Compare with the file of that name; `UPDATE_GOLDEN=1` writes it."""
    path = FOLDER / f"{name}.json"
    text = text_of(told)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    expected = path.read_text() if path.exists() else ""
    if text != expected:
        lines = unified_diff(
            expected.splitlines(), text.splitlines(), str(path), "told now", n=8
        )
        pytest.fail("\n".join(["UPDATE_GOLDEN=1 writes it", *lines]), pytrace=False)


def tree(spans: Iterable[Span]) -> dict[bytes, list[Span]]:
    """Give the children of each span, by its id; those of b"" have none here."""
    listed = list(spans)
    known = {each.span_id for each in listed}
    children: dict[bytes, list[Span]] = {}
    for span in listed:
        parent = span.parent_span_id if span.parent_span_id in known else b""
        children.setdefault(parent, []).append(span)
    return children


def _traces(told: Told) -> list[Any]:
    spans = told.collector.spans
    children = tree(spans)
    numbers = {
        root.trace_id: number for number, root in enumerate(children.get(b"", []), 1)
    }
    names = {
        span.span_id: f"{span.name} of trace {numbers.get(span.trace_id)}"
        for span in spans
    }

    def written(span: Span) -> dict[str, Any]:
        said: dict[str, Any] = {
            "span": span.name,
            "kind": _KINDS[span.kind],
            "status": _STATUSES[span.status.code] + span.status.message,
        }
        if span.parent_span_id and span.parent_span_id not in names:
            said["parent"] = "<the caller's span>"
        if span.links:
            said["links"] = [names[link.span_id] for link in span.links]
        if span.trace_state:
            said["trace_state"] = span.trace_state
        said["attributes"] = _attributes(span, masks_scores=told.masks_scores)
        if span.events:
            said["events"] = [
                {"event": each.name, "attributes": values(each.attributes)}
                for each in span.events
            ]
        below = children.get(span.span_id, [])
        if below:
            said["below"] = [written(each) for each in below]
        return said

    return [written(root) for root in children.get(b"", [])]


def _attributes(span: Span, *, masks_scores: bool) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, value in values(span.attributes).items():
        listed = next((each for each in _LISTS if key.startswith(f"{each}.")), "")
        if listed:
            _, place, _, what = key.removeprefix(listed).split(".")
            documents = said.setdefault(listed, [])
            if int(place) >= len(documents):
                documents += [{} for _ in range(int(place) + 1 - len(documents))]
            documents[int(place)][what] = (
                json.loads(value) if what == "metadata" else _number(value)
            )
        elif key == semconv.URL:
            said[key] = value.replace(
                f":{values(span.attributes)[semconv.SERVER_PORT]}/", ":<port>/"
            )
        else:
            said[key] = _MASKED.get(key, _number(value))
    if masks_scores:
        _mask_scores(said)
    return said


def _mask_scores(said: dict[str, Any]) -> None:
    for listed in _LISTS:
        for each in said.get(listed, ()):
            if "score" in each:
                each["score"] = "<score>"
    if semconv.RESULT_SCORES in said:
        said[semconv.RESULT_SCORES] = ["<score>" for _ in said[semconv.RESULT_SCORES]]


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(each) for each in value]
    return round(value, _DIGITS) if isinstance(value, float) else value


def _metrics(metrics: Mapping[str, Metric]) -> list[str]:
    """Count: one line for each series that is not 0, of calls and not of the process."""
    return sorted(
        f"{name}{{{', '.join(f'{key}={value}' for key, value in labels)}}} {count:g}"
        for name, metric in metrics.items()
        if metric.WhichOneof("data") != "gauge" and not name.startswith("process.")
        for labels, count in counted(metric).items()
    )


def _pretty(value: Any, indent: str = "") -> str:
    """Write JSON, what fits into a line in a line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return line
    nested = isinstance(value, dict) and any(
        isinstance(each, dict) for each in value.values()
    )
    if indent and not nested and len(indent) + len(line) <= _WIDTH:
        return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        parts = [
            f"{deeper}{json.dumps(key)}: {_pretty(each, deeper)}"
            for key, each in value.items()
        ]
        first, last = "{", "}"
    else:
        parts = [f"{deeper}{_pretty(each, deeper)}" for each in value]
        first, last = "[", "]"
    body = ",\n".join(parts)
    end = "" if indent else "\n"
    return f"{first}\n{body}\n{indent}{last}{end}"
