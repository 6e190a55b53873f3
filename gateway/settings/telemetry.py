"""What the gateway tells about itself: traces, metrics, lines for operators.

Where they go is said by the variables that OpenTelemetry defines for every program
(`OTEL_*`); what is told, by the configuration.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Seconds, Section, Share

_CAPTURE = "RERANK_GATEWAY_CAPTURE_CONTENT"
_CAPTURES = ("NO_CONTENT", "SPAN_ONLY")
_EXPORTERS = ("otlp", "console", "none")
_PROTOCOLS = ("grpc", "http/protobuf")
_GRPC_PORT = ":4317"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_INTERVAL_S = 60.0

Exporter = Literal["otlp", "console", "none"]
Protocol = Literal["grpc", "http/protobuf"]


class Export(Section):
    """Where one kind of signal goes; read from `OTEL_*`, never from the file."""

    exporter: Exporter = "none"
    protocol: Protocol = "http/protobuf"


class TelemetrySettings(Section):
    """What is told by traces and metrics."""

    metrics_address: str = ""
    """HOST:PORT of an endpoint for Prometheus, `/metrics`; port 0 takes a free one;
    unset: none. Where others reach it, one of the next two is required, or callers with
    certificates (`tls.client_auth`)."""
    metrics_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The hash of the one key that is shown there, as `rerank-gateway keys create` prints
    it; a scraper sends `authorization: Bearer KEY`. Unset: none is asked for."""
    allow_anonymous: bool = False
    """Whether anybody who reaches it may read it."""
    keep: Literal["all", "notable"] = "all"
    """`notable`: of the sampled traces, send those with a fallback, an error or a slow
    call, and a share of the others. For those without a collector that does it."""
    slow_s: Seconds = 1.0
    """A call that takes longer is notable."""
    keep_share: Share = 0.05
    """Of the traces that are not notable."""
    document_ids: bool = True
    """Whether traces name documents by their ids."""

    traces: Export = Field(default=Export(), exclude=True)
    metrics: Export = Field(default=Export(), exclude=True)
    logs: Export = Field(default=Export(), exclude=True)
    metrics_interval_s: float = Field(default=_INTERVAL_S, exclude=True)
    """Between two exports of metrics."""
    capture_content: bool = Field(default=False, exclude=True)
    """Whether traces quote queries and documents: only by an environment variable, so
    that no configuration file switches it on unnoticed."""


class LogSettings(Section):
    """The lines for operators, on standard error."""

    format: Literal["console", "json"] = "console"
    calls: Literal["all", "failed", "none"] = "all"
    """Which calls get their line: `failed`, those that ended in an error or fell back."""
    audit: str = ""
    """Where every call that administers, and every reload, is written down as a line of JSON,
    without any text: a file that is added to, or `stderr`; unset: nowhere."""


def from_environment(
    settings: TelemetrySettings, env: Mapping[str, str]
) -> tuple[TelemetrySettings, tuple[str, ...]]:
    """Read where signals go, and give every problem with it.

    A signal is exported if `OTEL_<SIGNAL>_EXPORTER` or an OTLP endpoint says so: with
    neither, as with `OTEL_SDK_DISABLED=true`, nothing is, and nothing is made for it.
    """
    problems: list[str] = []
    exports = {
        signal: _export(signal, env, problems)
        for signal in ("traces", "metrics", "logs")
    }
    capture = env.get(_CAPTURE) or _CAPTURES[0]
    if capture not in _CAPTURES:
        problems.append(f"{_CAPTURE}: must be {_or(_CAPTURES)}")
    read = settings.model_copy(
        update={
            **exports,
            "metrics_interval_s": _interval_s(env, problems),
            "capture_content": capture == _CAPTURES[1],
        }
    )
    return read, tuple(problems)


def _export(signal: str, env: Mapping[str, str], problems: list[str]) -> Export:
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Export()
    named = f"OTEL_{signal.upper()}_EXPORTER"
    exporter = env.get(named, "").strip()
    endpoint = _of(signal, "ENDPOINT", env)
    if not exporter:
        exporter = "otlp" if endpoint else "none"
    if exporter not in _EXPORTERS:
        problems.append(f"{named}: must be {_or(_EXPORTERS)}")
        return Export()
    protocol = _of(signal, "PROTOCOL", env)
    if not protocol:
        # What the specification wants, but for the port that only speaks gRPC.
        protocol = (
            "grpc" if endpoint.rstrip("/").endswith(_GRPC_PORT) else "http/protobuf"
        )
    if protocol not in _PROTOCOLS:
        problems.append(f"OTEL_EXPORTER_OTLP_PROTOCOL: must be {_or(_PROTOCOLS)}")
        return Export()
    return Export.model_validate({"exporter": exporter, "protocol": protocol})


def _interval_s(env: Mapping[str, str], problems: list[str]) -> float:
    value = env.get(_INTERVAL, "").strip()
    if not value:
        return _INTERVAL_S
    if not (value.isascii() and value.isdecimal() and int(value)):
        problems.append(f"{_INTERVAL}: must be a number of milliseconds above 0")
        return _INTERVAL_S
    return int(value) / 1000


def _of(signal: str, what: str, env: Mapping[str, str]) -> str:
    """Read a variable of one signal, or else that of all."""
    own = env.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", "").strip()
    return own or env.get(f"OTEL_EXPORTER_OTLP_{what}", "").strip()


def _or(values: tuple[str, ...]) -> str:
    return " or ".join(values)
