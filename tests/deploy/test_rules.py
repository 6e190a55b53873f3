"""Prometheus itself says that rules are right, and that each alert fires and ends."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import drawn
from tests.deploy.places import OBSERVABILITY
from tests.deploy.prometheus_server import binary

RULES = OBSERVABILITY / "rules"
TESTS = sorted((RULES / "tests").glob("*.yml"))
ALERTS = [
    rule
    for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


def test_the_configuration_is_right() -> None:
    assert "SUCCESS: 2 rule files found" in _promtool(
        "check", "config", OBSERVABILITY / "prometheus.yml"
    )


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_end(path: Path) -> None:
    _promtool("test", "rules", path)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_is_seen_silent_firing_and_silent_again(
    alert: dict[str, Any],
) -> None:
    """What these tests ask for is the order; that it comes so is Prometheus's word."""
    name = alert["alert"]
    (scenario,) = (
        test
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        if test["name"] == name
    )
    asked = [
        each
        for each in scenario["promql_expr_test"]
        if f'alertname="{name}"' in each["expr"]
    ]
    fires = ["firing" in each["expr"] and bool(each["exp_samples"]) for each in asked]
    assert fires.count(True) == 1
    assert not fires[0]
    assert not fires[-1]
    (severity,) = (each for each, fired in zip(asked, fires, strict=True) if fired)
    assert (
        f'severity="{alert["labels"]["severity"]}"'
        in (severity["exp_samples"][0]["labels"])
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_says_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["for"]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {
        *("summary", "description", "runbook", "runbook_url")
    }
    summary = alert["annotations"]["summary"]
    assert summary == summary.strip()
    assert not summary.endswith(".")
    for key in ("description", "runbook"):
        assert alert["annotations"][key].endswith("."), key


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_a_runbook_names_panels_and_rows_that_there_are(alert: dict[str, Any]) -> None:
    titles = {
        panel["title"].partition(":")[0]
        for dashboard in drawn.dashboards().values()
        for panel in dashboard["panels"]
    }
    runbook = alert["annotations"]["runbook"]
    named = re.findall(r'"([A-Z][^"]+)"|\brow (\w+)', runbook)
    assert {panel or row for panel, row in named} <= titles


def test_the_readme_lists_every_alert() -> None:
    listed = re.findall(
        r"^\| `(\w+)` \| (\w+) \|",
        (OBSERVABILITY / "README.md").read_text(),
        re.MULTILINE,
    )
    assert sorted(listed) == sorted(
        (alert["alert"], alert["labels"]["severity"]) for alert in ALERTS
    )


def _promtool(*arguments: str | Path) -> str:
    done = subprocess.run(  # noqa: S603 - a package of Debian's
        [binary("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
