"""The dashboards ask for what there is, and are what the script draws."""

import re
from collections import Counter

import pytest

from deploy.observability.dashboards import generated
from tests.deploy import drawn, emitted
from tests.deploy.drawn import Asked
from tests.deploy.promql import reads


def test_they_are_what_the_script_draws() -> None:
    stale = [
        path.name
        for path, content in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    assert not stale, "not up to date: python -m deploy.observability.dashboards"
    assert sorted(generated()) == drawn.DASHBOARDS, "nobody draws these"


def test_the_script_draws_the_same_each_time() -> None:
    assert generated() == generated()


@pytest.mark.parametrize("asked", drawn.promql(), ids=str)
def test_every_series_and_label_is_one_that_there_is(asked: Asked) -> None:
    known = emitted.series()
    found = reads(asked.expression)
    labels = set[str]()
    for selector in found.selectors:
        assert selector.metric in known
        assert selector.labels <= known[selector.metric]
        labels |= known[selector.metric]
    assert found.grouped <= labels
    assert asked.legend_labels <= (found.grouped or labels)


@pytest.mark.parametrize("asked", drawn.choices(), ids=str)
def test_every_choice_is_among_values_that_there_are(asked: Asked) -> None:
    (selector,) = reads(asked.expression).selectors
    labels = emitted.series()[selector.metric]
    assert selector.labels <= labels
    assert asked.legend in labels


@pytest.mark.parametrize("asked", drawn.traceql(), ids=str)
def test_every_trace_is_asked_for_by_attributes_that_there_are(asked: Asked) -> None:
    named = set(re.findall(r"\bspan\.([\w.]+)", asked.expression))
    assert named <= emitted.on_spans()
    assert set(re.findall(r"\bresource\.([\w.]+)", asked.expression)) <= {
        "service.name"
    }


def test_every_series_of_the_gateway_is_on_a_panel() -> None:
    """Nothing is measured for nobody; of a histogram, one of its three is enough."""
    asked = {
        re.sub("_(bucket|sum|count)$", "", selector.metric)
        for each in drawn.promql()
        for selector in reads(each.expression).selectors
    }
    there = {
        re.sub("_(bucket|sum|count)$", "", name) for name in emitted.by_the_gateway()
    }
    assert there <= asked


def test_every_choice_is_used() -> None:
    for name, dashboard in drawn.dashboards().items():
        text = str(dashboard["panels"])
        unused = [
            variable["name"]
            for variable in dashboard["templating"]["list"]
            if f"${variable['name']}" not in text
        ]
        assert not unused, name


def test_every_panel_is_explained_and_has_a_unit() -> None:
    for panel in drawn.panels():
        assert len(panel["description"]) > len(panel["title"]), panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] not in {"table", "heatmap", "state-timeline"}:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_titles_and_ids_are_given_once() -> None:
    for dashboard in drawn.dashboards().values():
        for key in ("title", "id"):
            counted = Counter(panel[key] for panel in dashboard["panels"])
            assert [each for each, count in counted.items() if count > 1] == []


def test_panels_lie_beside_each_other() -> None:
    for dashboard in drawn.dashboards().values():
        taken = Counter(
            (x, y)
            for panel in dashboard["panels"]
            for x in range(
                panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]
            )
            for y in range(
                panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]
            )
        )
        assert max(taken.values()) == 1
        assert max(x for x, _ in taken) < 24
