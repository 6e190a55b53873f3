"""Writes Grafana's dashboards: python -m deploy.observability.dashboards."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.observability.grafana import (
    gateway_answers,
    gateway_insides,
    gateway_process,
    gateway_tenants,
)
from deploy.observability.grafana import search_methods as spans
from deploy.observability.grafana.panels import PROMETHEUS
from deploy.observability.grafana.queries import GATEWAYS, SPANS

FOLDER = Path(__file__).parent / "grafana" / "dashboards"

_REQUESTS = "rerank_gateway_request_duration_seconds_count"
_TAG = "rerank-gateway"


def gateway() -> Dashboard:
    """Draw what gateways say of themselves, from Prometheus alone."""
    built = (
        _dashboard(
            "Rerank gateway",
            "rerank-gateway",
            "What callers get, and what the gateways and their backends do for it. The numbers "
            "count every call.",
        )
        .with_variable(
            _chosen("job", "Job", "The scrape job of Prometheus.", f"{_REQUESTS}, job")
        )
        .with_variable(
            _chosen(
                "instance",
                "Gateway",
                "One process each.",
                f'{_REQUESTS}{{job=~"$job"}}, instance',
            )
        )
        .with_variable(
            _chosen(
                "backend",
                "Backend",
                "As it is called in the configuration. It narrows the rows Backends and Scores.",
                f"{GATEWAYS.of('rerank_gateway_backend_inflight')}, rerank_gateway_backend",
            )
        )
        .with_variable(_quantile())
        .with_variable(
            dashboard.TextBoxVariable("price")
            .label("Price of 1000 search units")
            .description("For the panel Cost per hour.")
            .default_value("2")
        )
    )
    rows: Sequence[tuple[str, Callable[[], list[Builder[Panel]]]]] = (
        ("At a glance", gateway_answers.at_a_glance),
        ("Answers", gateway_answers.answers),
        ("Fallbacks: answers without the rerank", gateway_answers.fallbacks),
        ("Backends", gateway_insides.backends),
        ("Cache", gateway_insides.cache),
        ("Tenants", gateway_tenants.tenants),
        ("Scores, and what the rerank changes", gateway_answers.scores),
        ("gRPC", gateway_insides.grpc),
        ("Time and load", gateway_process.time_and_load),
        ("Configuration", gateway_process.configuration),
        ("Telemetry", gateway_process.telemetry),
    )
    return _filled(built, rows)


def search_methods() -> Dashboard:
    """Draw what the spans say, and list the calls behind the numbers."""
    built = (
        _dashboard(
            "Search methods",
            "rerank-gateway-search-methods",
            "What single calls did: numbers counted from their traces, and the traces themselves. "
            "It needs a gateway that sends traces to the collector.",
        )
        .with_variable(
            _chosen(
                "search_method",
                "Search method",
                "The stages that really took place.",
                f"{SPANS.of('traces_span_metrics_calls_total')}, rerank_gateway_search_method",
            )
        )
        .with_variable(_quantile())
    )
    return _filled(
        built,
        (
            ("All calls", spans.methods),
            ("Single calls that are worth a look", spans.single_calls),
        ),
    )


def generated() -> dict[Path, str]:
    """Give what each file has to contain."""
    return {
        FOLDER / "gateway.json": _as_json(gateway()),
        FOLDER / "search-methods.json": _as_json(search_methods()),
    }


def _dashboard(title: str, uid: str, description: str) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([_TAG])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("The other dashboard")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .keep_time(keep_time=True)
        )
    )


def _filled(
    built: dashboard.Dashboard,
    rows: Sequence[tuple[str, Callable[[], list[Builder[Panel]]]]],
) -> Dashboard:
    """Put in the panels, row by row, and number them."""
    for title, panels in rows:
        built.with_row(dashboard.Row(title))
        for panel in panels():
            built.with_panel(panel)
    done = built.build()
    for number, drawn in enumerate(done.panels or [], start=1):
        drawn.id_val = number
    return done


def _chosen(
    name: str, label: str, description: str, values: str
) -> Builder[VariableModel]:
    """Let the reader choose some of the values that a label has, or all."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .query({"query": f"label_values({values})", "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _quantile() -> Builder[VariableModel]:
    return (
        dashboard.CustomVariable("quantile")
        .label("Quantile")
        .description("0.95: 95 of 100 are faster.")
        .values("0.5, 0.9, 0.95, 0.99")
        .current(VariableOption(selected=True, text="0.95", value="0.95"))
    )


def _as_json(built: Dashboard) -> str:
    return (
        json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        + "\n"
    )


def main() -> None:
    """Write them all."""
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
