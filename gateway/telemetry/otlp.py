"""Make what sends a signal over OTLP; imported where the environment asks for it."""

from importlib import import_module
from typing import Any

from gateway.settings import Export
from gateway.telemetry.forgetting import forgetful, forgetful_over_http

TIMEOUT_S = 2
"""For one export, with what is tried again within it. The default of ten seconds would hold
up the end of the process."""

_OF_SIGNALS = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
"""By signal: the module and the class, called alike for both protocols."""


def over_otlp(export: Export, signal: str) -> Any:  # noqa: ANN401 - each has its own type
    """Make the exporter of a signal for the protocol that the environment names.

    Where it sends, it reads from the environment by itself.

    Args:
        export: Whose `exporter` is `otlp`.
        signal: `traces`, `metrics` or `logs`.

    """
    module, name = _OF_SIGNALS[signal]
    grpc = export.protocol == "grpc"
    package = f"opentelemetry.exporter.otlp.proto.{'grpc' if grpc else 'http'}"
    made = getattr(import_module(f"{package}.{module}"), name)(timeout=TIMEOUT_S)
    return forgetful(made) if grpc else forgetful_over_http(made)
