"""Events with a time of their own, as OpenTelemetry's log records.

Few: what an operator asks about later, beside the lines on standard error. What happened
to one call is on its span.
"""

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    ConsoleLogRecordExporter,
    LogRecordExporter,
)
from opentelemetry.sdk.resources import Resource

from gateway.events import CallEnded, CircuitChanged, CircuitState, Event
from gateway.settings import Export
from gateway.telemetry import semconv
from gateway.telemetry.otlp import over_otlp
from gateway.telemetry.spans import here

CIRCUIT_CHANGED = "rerank_gateway.backend.circuit.transition"
CALL_BROKE = "rpc.server.call.exception"

# What no handler answers on purpose.
_BUGS = ("INTERNAL", "UNKNOWN")


class LogRecords:
    """An `Emit` that writes log records.

    Args:
        logger: Sends them.

    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def __call__(self, event: Event) -> None:
        """Write an event down, if it is one that is asked about later."""
        match event:
            case CircuitChanged(backend, state):
                opened = state is CircuitState.OPEN
                self._logger.emit(
                    event_name=CIRCUIT_CHANGED,
                    severity_number=(
                        SeverityNumber.WARN if opened else SeverityNumber.INFO
                    ),
                    attributes={
                        semconv.BACKEND: backend,
                        semconv.CIRCUIT_STATE: state.lower(),
                    },
                )
            case CallEnded() if event.status in _BUGS:
                self._logger.emit(
                    context=here(),
                    event_name=CALL_BROKE,
                    severity_number=SeverityNumber.WARN,
                    attributes={
                        semconv.RPC_SYSTEM: semconv.GRPC,
                        semconv.RPC_METHOD: event.method,
                        semconv.RPC_STATUS: event.status,
                    },
                )
            case _:
                pass


def logger_provider(export: Export, resource: Resource) -> LoggerProvider | None:
    """Make what sends log records where the environment says; None: nowhere."""
    if export.exporter == "none":
        return None
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(_exporter(export)))
    return provider


def _exporter(export: Export) -> LogRecordExporter:
    if export.exporter == "console":
        return ConsoleLogRecordExporter()
    sender: LogRecordExporter = over_otlp(export, "logs")
    return sender
