"""What an evaluation found, for people and for programs."""

from dataclasses import asdict
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.evaluated import Evaluated
from gateway.evaluation.judging import Comparison, compare
from gateway.evaluation.latency import latency
from gateway.evaluation.measuring import MEASURES, measured
from gateway.evaluation.reading import Questions

_STYLES = {"significantly better": "green", "significantly worse": "red"}


class Findings:
    """All numbers of an evaluation: computed once, shown in two ways."""

    def __init__(
        self, collection: str, questions: Questions, found: list[Evaluated]
    ) -> None:
        """Measure what was found, and compare each configuration with the one before."""
        self._collection = collection
        self._count = len(questions.queries)
        self._found = found
        judgements = questions.judgements
        self._means = [
            {
                measure: float(measured(measure, judgements, each.orders).mean())
                for measure in MEASURES
            }
            for each in found
        ]
        self._latencies = [latency(each.durations_s) for each in found]
        self._comparisons: list[list[Comparison]] = [
            compare(MEASURES, judgements, before.orders, after.orders)
            for before, after in pairwise(found)
        ]

    @property
    def degraded(self) -> int:
        """Count the answers that did less than was asked of them."""
        return sum(sum(each.degraded.values()) for each in self._found)

    def as_json(self) -> dict[str, Any]:
        """Give everything for programs; seconds are seconds."""
        told = []
        for place, each in enumerate(self._found):
            one: dict[str, Any] = {
                "search_method": each.search_method,
                "measures": self._means[place],
                "latency": asdict(self._latencies[place]),
                "degraded": each.degraded,
            }
            if place:
                one["compared_with"] = self._found[place - 1].search_method
                one["differences"] = {
                    comparison.measure: {
                        "difference": comparison.difference,
                        "low": comparison.low,
                        "high": comparison.high,
                        "verdict": comparison.verdict,
                    }
                    for comparison in self._comparisons[place - 1]
                }
            told.append(one)
        return {
            "collection": self._collection,
            "queries": self._count,
            "configurations": told,
        }

    def show(self, out: Console) -> None:
        """Print means and latency, then every difference and what may be concluded."""
        out.print(f"{self._collection}: {self._count} queries\n")
        out.print(self._overview())
        for (before, after), comparisons in zip(
            pairwise(self._found), self._comparisons, strict=True
        ):
            out.print(f"\n{after.search_method} against {before.search_method}")
            out.print(_differences(comparisons))
        if self._comparisons:
            out.print(
                "\n95 % intervals of the difference: paired bootstrap over the queries,"
                " 10 000 resamples, fixed seed",
                soft_wrap=True,
            )
        for each in self._found:
            for how, count in each.degraded.items():
                out.print(
                    f"{each.search_method}: {count} of {self._count} answers degraded:"
                    f" {how}",
                    soft_wrap=True,
                    markup=False,
                )

    def _overview(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("search_method", no_wrap=True)
        for name in (*MEASURES, "p50", "p95", "p99"):
            table.add_column(name, justify="right", no_wrap=True)
        for each, means, took in zip(
            self._found, self._means, self._latencies, strict=True
        ):
            table.add_row(
                each.search_method,
                *(f"{means[measure]:.3f}" for measure in MEASURES),
                *(f"{s * 1000:.0f} ms" for s in (took.p50_s, took.p95_s, took.p99_s)),
            )
        return table


def _differences(comparisons: list[Comparison]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, min_width=max(map(len, MEASURES)))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for each in comparisons:
        table.add_row(
            each.measure,
            f"{each.difference:+.3f}",
            f"{each.low:+.3f} to {each.high:+.3f}",
            Text(each.verdict, style=_STYLES.get(each.verdict, "")),
        )
    return table
