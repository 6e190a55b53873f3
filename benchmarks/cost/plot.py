"""The plot: what a call costs beside its floor, and how that grows with its documents."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.cost import names
from benchmarks.cost.figures import Figures
from benchmarks.cost.growth import Grown

_DPI = 120
_ROOM = 1.4
"""For what is written behind the bars."""
_INK, _GREY, _BLUE, _RED = "#222222", "#9aa0a6", "#2f6fb0", "#b0492f"
_COLOURS = {
    names.ECHO: _GREY,
    names.LITELLM: _RED,
    names.LITELLM_TEI: _RED,
}
_LEFT_OUT = (names.PAST, names.SECURE)


def draw(figures: Figures, path: Path) -> None:
    """Draw as much of it as was measured."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 9, "text.color": _INK})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 3.6), width_ratios=(3, 2), layout="constrained"
    )
    if figures.calls:
        _draw_calls(left, figures)
    documents = [each for each in figures.growth if each.what.startswith("documents")]
    if documents:
        _draw_growth(right, documents[0])
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)


def _draw_calls(axes: Axes, figures: Figures) -> None:
    shown = [
        (name, cost) for name, cost in figures.calls.items() if name not in _LEFT_OUT
    ][::-1]
    bars = axes.barh(
        [name for name, _ in shown],
        [cost.cpu_us for _, cost in shown],
        color=[_COLOURS.get(name, _BLUE) for name, _ in shown],
    )
    axes.bar_label(
        bars,
        [f"{cost.cpu_us:,.0f} µs, {cost.ratio:.2f} x echo" for _, cost in shown],
        padding=3,
    )
    axes.set_xlim(right=_ROOM * max(cost.cpu_us for _, cost in shown))
    axes.set_title("CPU per call, 100 documents of 0.4 KB", loc="left")
    _plain(axes)


def _draw_growth(axes: Axes, grown: Grown) -> None:
    colours = {names.ECHO: _GREY, names.FULL: _BLUE, names.MISS: _INK}
    for name, costs in grown.cpu_us.items():
        axes.plot(grown.sizes, costs, marker="o", markersize=3, color=colours.get(name))
        axes.annotate(
            name, (grown.sizes[0], costs[0]), xytext=(4, 4), textcoords="offset points"
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("documents of 0.4 KB per call")
    axes.set_title("CPU µs per call", loc="left")
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
