"""Row of the dashboard Gateway on what tenants use."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability.grafana.panels import lines
from deploy.observability.grafana.queries import GATEWAYS, Query

_TENANT = "rerank_gateway_tenant"
_BACKEND = "rerank_gateway_backend"
_UNIT = "rerank_gateway_billed_unit"
_QUOTA = "rerank_gateway_quota"


def tenants() -> list[Builder[Panel]]:
    """Show what each tenant uses, and what it is refused."""
    return [
        lines(
            "Units per hour by tenant",
            "What the ledger counts, in the units of vendors, and calls. default: all tenants "
            "that have no section of their own; anonymous: those that are nobody's.",
            Query(
                "3600 * "
                + GATEWAYS.rate(
                    "rerank_gateway_tenant_units_total",
                    by=f"{_TENANT}, {_BACKEND}, {_UNIT}",
                ),
                f"{{{{{_TENANT}}}}}: {{{{{_BACKEND}}}}} {{{{{_UNIT}}}}}",
            ),
            unit="short",
        ),
        lines(
            "Cost per hour by tenant",
            "In the currency of the ledger, at the prices of the configuration. A number to "
            "look at: rerank-gateway usage tells it exactly.",
            Query(
                "3600 * "
                + GATEWAYS.rate("rerank_gateway_tenant_cost_total", by=_TENANT),
                f"{{{{{_TENANT}}}}}",
            ),
            unit="short",
            stacked=True,
        ),
        lines(
            "Refused by tenant",
            "Rerankings, and calls to backends, that a tenant's limits forbade, per second, by "
            "which of them.",
            Query(
                GATEWAYS.rate(
                    "rerank_gateway_tenant_refused_total", by=f"{_TENANT}, {_QUOTA}"
                ),
                f"{{{{{_TENANT}}}}}: {{{{{_QUOTA}}}}}",
            ),
            unit="reqps",
            stacked=True,
        ),
    ]
