"""PromQL over what gateways, and the collector, count."""

from dataclasses import dataclass

_RATE = "[$__rate_interval]"


@dataclass(frozen=True)
class Query:
    """One PromQL expression, and what its lines are called."""

    expression: str
    legend: str = ""
    exemplars: bool = False
    """Show traces as dots on the lines."""


@dataclass(frozen=True)
class Metrics:
    """Writes PromQL over the series that a dashboard has chosen.

    Args:
        chosen: Matchers that every selector gets.

    """

    chosen: str

    def of(self, metric: str, *matchers: str) -> str:
        """Select series."""
        return f"{metric}{{{', '.join([self.chosen, *matchers])}}}"

    def rate(self, metric: str, *matchers: str, by: str = "") -> str:
        """Add up how fast counters grow, per second."""
        return f"{_sum(by)}(rate({self.of(metric, *matchers)}{_RATE}))"

    def share(self, part: str, whole: str) -> str:
        """Divide; a part that has never been counted is none of the whole."""
        return f"({part} or 0 * {whole}) / {whole}"

    def quantile(
        self, share: float | str, metric: str, *matchers: str, by: str = ""
    ) -> str:
        """Estimate a quantile from a histogram's buckets."""
        labels = f"{by}, le" if by else "le"
        buckets = self.rate(f"{metric}_bucket", *matchers, by=labels)
        return f"histogram_quantile({share}, {buckets})"


GATEWAYS = Metrics('job=~"$job", instance=~"$instance"')
"""What the chosen gateways say of themselves."""

BACKENDS = Metrics(f'{GATEWAYS.chosen}, rerank_gateway_backend=~"$backend"')
"""What they say of the chosen backends."""

SERVERS = Metrics(f'{GATEWAYS.chosen}, rerank_gateway_backend=~"($backend)(/.+)?"')
"""What they say of each server of the chosen backends: NAME/1, where there are several."""

SPANS = Metrics('service_name="rerank-gateway"')
"""What the collector counts of their spans."""


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
