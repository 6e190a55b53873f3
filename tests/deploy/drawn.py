"""What the dashboards ask for, read from the JSON that Grafana gets."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.deploy.places import OBSERVABILITY

DASHBOARDS = sorted((OBSERVABILITY / "grafana" / "dashboards").glob("*.json"))

_VARIABLES = {
    "$__rate_interval": "10s",
    "$__range": "1m",
    "$job": ".*",
    "$instance": ".*",
    "$backend": ".*",
    "$search_method": ".*",
    "${search_method:regex}": ".*",
    "$quantile": "0.95",
    "$price": "2",
}


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    panel: str
    expression: str
    legend: str
    source: str
    """The uid of the data source."""

    @property
    def legend_labels(self) -> set[str]:
        return set(re.findall(r"{{(\w+)}}", self.legend))

    def __str__(self) -> str:
        return f"{self.panel}: {self.expression}"


def dashboards() -> dict[str, Any]:
    """Read each of them, by the name of its file."""
    return {path.name: json.loads(path.read_text()) for path in DASHBOARDS}


def panels() -> list[Any]:
    """Give all panels but the titles of rows."""
    return [
        panel
        for each in dashboards().values()
        for panel in each["panels"]
        if panel["type"] != "row"
    ]


def promql() -> list[Asked]:
    """Give what is asked of Prometheus, with something for each variable."""
    return [each for each in _asked() if each.source == "prometheus"]


def traceql() -> list[Asked]:
    """Give what is asked of Tempo, likewise."""
    return [each for each in _asked() if each.source == "tempo"]


def choices() -> list[Asked]:
    """Give where the values come from that a reader may choose: series, and label."""
    return [
        Asked(variable["name"], _filled(series), label, variable["datasource"]["uid"])
        for each in dashboards().values()
        for variable in each["templating"]["list"]
        if variable["type"] == "query"
        for series, label in re.findall(
            r"^label_values\((.*), (\w+)\)$", variable["query"]["query"]
        )
    ]


def _asked() -> Iterator[Asked]:
    for panel in panels():
        for target in panel["targets"]:
            yield Asked(
                panel["title"],
                _filled(target.get("expr") or target["query"]),
                target.get("legendFormat", ""),
                target["datasource"]["uid"],
            )


def _filled(expression: str) -> str:
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression
