"""What is counted arrives at a collector, and a collector that is not there harms nobody."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
)
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.resources import Resource

from gateway.settings.telemetry import TelemetrySettings, from_environment
from gateway.telemetry.complaints import said_now_and_then
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.push import Push, exporter
from tests.support.collectors import COLLECTORS, Inbox, attributes, metrics

pytestmark = pytest.mark.real_time

PROTOCOLS = ("grpc", "http/protobuf")
NEVER_S = 3600.0


def settings(env: Mapping[str, str]) -> TelemetrySettings:
    read, problems = from_environment(TelemetrySettings(), env)
    assert not problems
    return read


@asynccontextmanager
async def pushing(
    instruments: Instruments, sender: MetricExporter, *, interval_s: float = NEVER_S
) -> AsyncIterator[None]:
    push = Push(
        instruments=instruments,
        exporter=sender,
        resource=Resource({"service.name": "gateway-of-test"}),
        interval_s=interval_s,
    )
    with said_now_and_then():
        async with push.running():
            yield


@pytest.fixture
def to(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make what sends to an endpoint, as the environment says it."""

    def make(endpoint: str, protocol: str) -> MetricExporter:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        return exporter(settings(env))

    return make


class Fake(MetricExporter):
    """Does with an export what it is told to."""

    def __init__(self, then: Any = lambda: MetricExportResult.SUCCESS) -> None:
        super().__init__()
        self.then = then
        self.exports = 0
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.shut = False

    def export(self, *_: Any, **__: Any) -> MetricExportResult:
        self.exports += 1
        self.loop.call_soon_threadsafe(self.begun.put_nowait, None)
        result: MetricExportResult = self.then()
        return result

    def force_flush(self, *_: Any) -> bool:
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        self.shut = True


@contextmanager
def refusing() -> Iterator[str]:
    """Give an address where nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """Give an address where every connection is taken and none is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_was_counted_arrives_as_it_was(to: Any, protocol: str) -> None:
    began = time.time_ns()
    instruments = Instruments()
    instruments.watch_server(lag_s=lambda: 0.25, in_flight=lambda: 4)
    inbox = Inbox()
    with COLLECTORS[protocol](inbox) as endpoint:
        async with pushing(instruments, to(endpoint, protocol)):
            for duration_s in (0.0007, 0.003, 0.003, 99.0):
                instruments.attempt_began("tei")
                instruments.attempt_ended("tei", error_type="", duration_s=duration_s)
            instruments.attempt_began("tei")
            instruments.cache_read("process", hits=3, misses=2)
    sent = await inbox.last()
    assert attributes(sent.resource_metrics[0].resource) == {
        "service.name": "gateway-of-test"
    }
    assert sent.resource_metrics[0].scope_metrics[0].scope.name == "rerank_gateway"
    found = metrics(sent)

    attempts = found["rerank_gateway.backend.attempt.duration"]
    assert attempts.unit == "s"
    assert attempts.description
    histogram = attempts.histogram
    assert histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = histogram.data_points
    assert attributes(point) == {"rerank_gateway.backend": "tei"}
    assert point.explicit_bounds[:3] == [0.001, 0.0025, 0.005]
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert point.bucket_counts[:4] == [1, 0, 2, 0]
    assert point.bucket_counts[-1] == 1
    assert point.count == 4
    assert point.sum == pytest.approx(99.0067)
    assert not point.HasField("min")
    assert not point.HasField("max")
    assert began <= point.start_time_unix_nano <= point.time_unix_nano
    assert point.time_unix_nano <= time.time_ns()

    pairs = found["rerank_gateway.cache.pairs"]
    assert pairs.unit == "{pair}"
    assert pairs.sum.is_monotonic
    assert pairs.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    by_result = {
        attributes(each)["rerank_gateway.cache.result"]: each.as_double
        for each in pairs.sum.data_points
    }
    assert by_result == {"hit": 3, "miss": 2}

    in_flight = found["rerank_gateway.backend.inflight"].gauge.data_points
    assert [each.as_double for each in in_flight] == [1]
    lag = found["rerank_gateway.event_loop.lag"].gauge.data_points
    assert [each.as_double for each in lag] == [0.25]
    assert found["process.cpu.time"].sum.is_monotonic
    assert not found["process.memory.usage"].sum.is_monotonic
    assert found["process.memory.usage"].sum.data_points[0].as_double > 1e6
    # Nothing goes by its name for Prometheus, and nothing goes without a number.
    assert not [name for name in found if "_total" in name or "python" in name]
    assert "rerank_gateway.fallbacks" not in found


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_sending_has_all_since_the_beginning(
    to: Any, protocol: str
) -> None:
    instruments = Instruments()
    inbox = Inbox()
    counts, starts = [], set()
    with COLLECTORS[protocol](inbox) as endpoint:
        async with pushing(instruments, to(endpoint, protocol), interval_s=0.01):
            for _ in range(3):
                instruments.cache_failed()
                for _ in range(2):  # the first may have begun before
                    sent = await inbox.next()
                (point,) = metrics(sent)[
                    "rerank_gateway.cache.failures"
                ].sum.data_points
                counts.append(point.as_double)
                starts.add(point.start_time_unix_nano)
    assert counts == [1, 2, 3]
    assert len(starts) == 1


async def test_the_last_numbers_are_sent_at_the_end_even_of_an_error() -> None:
    sender = Fake()
    with pytest.raises(ZeroDivisionError):
        async with pushing(Instruments(), sender):
            raise ZeroDivisionError
    assert sender.exports == 1
    assert sender.shut


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("collector", [refusing, silent])
async def test_a_collector_that_is_not_there_delays_the_end_by_little(
    to: Any, protocol: str, collector: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    with collector() as endpoint, caplog.at_level(logging.INFO):
        async with pushing(Instruments(), to(endpoint, protocol), interval_s=0.01):
            await asyncio.sleep(0.1)
            leaving = loop.time()
        assert loop.time() - leaving < 3
    said = [
        each.getMessage() for each in caplog.records if each.name.startswith("gate")
    ]
    assert 1 <= len(said) <= 2
    assert not [each for each in caplog.records if each.name.startswith("opentel")]


async def test_a_sending_that_hangs_holds_up_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hang = threading.Event()
    sender = Fake(hang.wait)
    loop = asyncio.get_running_loop()
    async with pushing(Instruments(), sender, interval_s=0.001):
        await sender.begun.get()
        for _ in range(5):
            before = loop.time()
            await asyncio.sleep(0.01)
            assert loop.time() - before < 0.5
        leaving = loop.time()
    assert loop.time() - leaving < 3
    assert sender.exports == 1
    assert "the last numbers were not sent" in caplog.text
    hang.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_sending_that_raises_is_followed_by_the_next() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    sender = Fake(fail)
    async with pushing(Instruments(), sender, interval_s=0.001):
        for _ in range(3):
            await sender.begun.get()


def test_exporters_complain_once_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    exporters = logging.getLogger("opentelemetry.exporter.of.test")
    with caplog.at_level(logging.INFO):
        with said_now_and_then():
            for _ in range(5):
                exporters.error("nobody at %s", "home")
            exporters.info("of no interest")
        exporters.error("said by itself")
    assert [(each.name, each.getMessage()) for each in caplog.records] == [
        ("gateway.telemetry.complaints", "telemetry is not sent: nobody at home"),
        (exporters.name, "said by itself"),
    ]


def test_numbers_may_go_to_the_console() -> None:
    made = exporter(settings({"OTEL_METRICS_EXPORTER": "console"}))
    assert isinstance(made, ConsoleMetricExporter)


def test_the_interval_is_read_in_milliseconds() -> None:
    assert settings({}).metrics_interval_s == 60
    env = {"OTEL_METRIC_EXPORT_INTERVAL": "1500"}
    assert settings(env).metrics_interval_s == 1.5


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "²"])
def test_an_interval_that_is_none_is_a_problem(value: str) -> None:
    env = {"OTEL_METRIC_EXPORT_INTERVAL": value}
    _, problems = from_environment(TelemetrySettings(), env)
    assert problems == (
        "OTEL_METRIC_EXPORT_INTERVAL: must be a number of milliseconds above 0",
    )
