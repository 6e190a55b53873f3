"""What the dashboards are made of: one way to draw each kind of number."""

from collections.abc import Sequence
from dataclasses import replace

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Panel,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from deploy.observability.grafana.queries import Query

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
TEMPO = DataSourceRef(type_val="tempo", uid="tempo")

FULL_WIDTH = 24
HALF = 12
THIRD = 8
QUARTER = 6
SIXTH = 4

_HEIGHT = 8
_STAT_HEIGHT = 4


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = THIRD,
    stacked: bool = False,
    largest: float | None = None,
) -> Builder[Panel]:
    """Draw numbers over time.

    Args:
        title: What it shows.
        description: What it means, for somebody who has never seen it.
        queries: Each gives one or more lines.
        unit: Grafana's name of it.
        width: Of 24.
        stacked: On top of each other: they add up to something.
        largest: Where the axis ends, for shares.

    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .height(_HEIGHT)
        .span(width)
        .fill_opacity(40 if stacked else 8)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(TooltipDisplayMode.MULTI)
            .hide_zeros(hide_zeros=stacked)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if largest is not None:
        panel.max(largest)
    for name, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(query, name))
    return panel


def number(
    title: str,
    description: str,
    query: str,
    *,
    unit: str,
    width: int = SIXTH,
    steps: Sequence[tuple[float, str]] = (),
) -> Builder[Panel]:
    """Show the latest value in large, and its course behind it.

    Args:
        title: What it shows.
        description: What it means.
        query: Gives one number.
        unit: Grafana's name of it.
        width: Of 24.
        steps: From which value on it has which colour; green below.

    """
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(_STAT_HEIGHT)
        .span(width)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .thresholds(_thresholds(steps))
        .with_target(_target(Query(query), "A"))
    )


def bars(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    width: int = THIRD,
) -> Builder[Panel]:
    """Compare totals of the whole time range, those that are not 0."""
    over_0 = replace(query, expression=f"{query.expression} > 0")
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .height(_HEIGHT)
        .span(width)
        .orientation(VizOrientation.HORIZONTAL)
        .no_value("none")
        .thresholds(_thresholds(()))
        .with_target(_target(over_0, "A", instant=True))
    )


def heat(
    title: str, description: str, query: str, *, unit: str, width: int = THIRD
) -> Builder[Panel]:
    """Show a whole histogram over time: the brighter, the more often."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .height(_HEIGHT)
        .span(width)
        .calculate(calculate=False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .steps(64)
        )
        .with_target(
            _target(Query(query, "{{le}}"), "A").format(PromQueryFormat.HEATMAP)
        )
    )


def states(
    title: str,
    description: str,
    query: Query,
    *,
    names: Sequence[tuple[str, str]],
    width: int = THIRD,
) -> Builder[Panel]:
    """Show which state each thing was in, as coloured stretches of time.

    Args:
        title: What it shows.
        description: What it means.
        query: Gives the number of a state, from 0, for each thing.
        names: What each number is called, and its colour.
        width: Of 24.

    """
    results = {
        str(value): ValueMappingResult(text=text, color=color, index=value)
        for value, (text, color) in enumerate(names)
    }
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .height(_HEIGHT)
        .span(width)
        .merge_values(merge_values=True)
        .fill_opacity(80)
        .mappings([ValueMap(options=results)])
        .with_target(_target(query, "A"))
    )


def traces(
    title: str, description: str, traceql: str, *, width: int = HALF, limit: int = 20
) -> Builder[Panel]:
    """List traces that answer a question; each opens by its link."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(TEMPO)
        .height(_HEIGHT)
        .span(width)
        .with_target(
            tempo.TempoQuery()
            .datasource(TEMPO)
            .query_type("traceql")
            .query(traceql)
            .limit(limit)
            .table_type(SearchTableType.TRACES)
            .ref_id("A")
        )
    )


def _target(query: Query, name: str, *, instant: bool = False) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .datasource(PROMETHEUS)
        .expr(query.expression)
        .legend_format(query.legend)
        .ref_id(name)
    )
    if query.exemplars:
        target.exemplar(exemplar=True)
    return target.instant() if instant else target.range()


def _thresholds(steps: Sequence[tuple[float, str]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps(
            [
                Threshold(value=None, color="green"),
                *(Threshold(value=value, color=color) for value, color in steps),
            ]
        )
    )
