"""Every query of every panel, and all that rules read, over a real Prometheus."""

import asyncio
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import drawn, emitted
from tests.deploy.collectors import Collector
from tests.deploy.conftest import LOAD_S, Watched
from tests.deploy.places import OBSERVABILITY
from tests.deploy.prometheus_server import Prometheus, a_prometheus, binary
from tests.deploy.promql import reads

_ONE_MORE_SCRAPE_S = 2.0

RULES = [
    rule
    for path in sorted((OBSERVABILITY / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]


@pytest.mark.real_time
async def test_each_gives_numbers(
    tmp_path: Path, watched: Watched, collector: Collector
) -> None:
    """One Prometheus for all of them: it is the load that takes time."""
    binary("prometheus")
    targets = {
        "rerank-gateway": watched.metrics_address,
        "otelcol": collector.metrics_address,
    }
    with a_prometheus(tmp_path, targets) as prometheus:
        began = time.time()
        await watched.load(LOAD_S)
        await asyncio.sleep(_ONE_MORE_SCRAPE_S)

        assert set(prometheus.targets().values()) == {"up"}

        def asked(expression: str) -> list[Any]:
            return prometheus.values(expression, since=began)

        assert list(_without_numbers(asked)) == []
        assert list(_without_lines(asked)) == []
        assert list(_read_in_vain(asked)) == []
        assert list(_without_choices(prometheus)) == []
        assert [
            rule["name"] for rule in prometheus.rules() if "lastError" in rule
        ] == []


def _without_numbers(asked: Callable[[str], list[Any]]) -> Iterator[str]:
    """Find queries of panels, and recording rules, that give nothing."""
    for each in drawn.promql():
        if not _has_numbers(asked(each.expression)):
            yield str(each)
    for rule in RULES:
        if "record" in rule and not _has_numbers(asked(_of_seconds(rule["expr"]))):
            yield rule["record"]


def _without_lines(asked: Callable[[str], list[Any]]) -> Iterator[str]:
    """Find lines whose names would have a gap."""
    for each in drawn.promql():
        named = each.legend_labels - {"error_type"}
        for series in asked(each.expression):
            if not named <= set(series["metric"]):
                yield f"{each}: {series['metric']}"


def _read_in_vain(asked: Callable[[str], list[Any]]) -> Iterator[str]:
    """Find what is read inside of expressions, and is not there.

    An expression may give numbers all the same: none of the whole is zero.
    """
    inside = {
        str(selector)
        for expression in _expressions()
        for selector in reads(expression).selectors
        if selector.metric not in emitted.recorded()
    }
    yield from (selector for selector in sorted(inside) if not asked(selector))


def _without_choices(prometheus: Prometheus) -> Iterator[str]:
    for each in drawn.choices():
        if not prometheus.label_values(each.legend, each.expression):
            yield str(each)


def _expressions() -> Iterable[str]:
    yield from (each.expression for each in drawn.promql())
    yield from (rule["expr"] for rule in RULES)


def _has_numbers(result: list[Any]) -> bool:
    return any(
        math.isfinite(float(value))
        for series in result
        for _, value in series["values"]
    )


def _of_seconds(expression: str) -> str:
    """Let a rule look back as far as the test does."""
    return re.sub(r"\[\d+\w\]", "[10s]", expression)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert", "record"))
def test_every_rule_reads_what_there_is(rule: dict[str, Any]) -> None:
    known = emitted.series()
    found = reads(rule["expr"])
    labels = set[str]()
    for selector in found.selectors:
        assert selector.metric in known
        assert selector.labels <= known[selector.metric]
        labels |= known[selector.metric]
    assert found.grouped <= labels
    in_words = set(
        re.findall(r"\$labels\.(\w+)", " ".join(rule.get("annotations", {}).values()))
    )
    assert in_words <= (found.grouped or labels)
