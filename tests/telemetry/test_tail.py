"""Which traces are kept where only notable ones are, alone and in a whole gateway."""

from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
)

from gateway.telemetry import semconv, tail
from gateway.telemetry.exporting import Delivery
from gateway.telemetry.tail import Tail
from tests.e2e.running import rerank_request
from tests.e2e.vendor import Vendor
from tests.support.otlp import values
from tests.telemetry.scenarios import DOWN, GOOD, LLAMACPP, TEI, by_place
from tests.telemetry.scene import playing

SECOND = 1_000_000_000


class Kept(SpanProcessor):
    """Remembers what comes through."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.started: list[str] = []
        self.shut = self.flushed = False

    def on_start(self, span: Span, parent_context: object = None) -> None:  # noqa: ARG002 - OpenTelemetry's name
        self.started.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        self.names.append(span.name)

    def shutdown(self) -> None:
        self.shut = True

    def force_flush(self, timeout_millis: int = 0) -> bool:
        self.flushed = bool(timeout_millis)
        return True


class Ids(IdGenerator):
    """Gives trace ids as they are wanted."""

    def __init__(self) -> None:
        self.trace = 2**127
        self._last = 0

    def generate_span_id(self) -> int:
        self._last += 1
        return self._last

    def generate_trace_id(self) -> int:
        return self.trace


class Scene:
    """A `Tail` with a tracer in front of it."""

    def __init__(self, *, share: float = 0.0, slow_s: float = 1.0) -> None:
        self.kept = Kept()
        self.delivery = Delivery()
        self.ids = Ids()
        # The greatest random part: among the last of all to be taken.
        self.ids.trace = (1 << 127) | (2**56 - 1)
        self.tail = Tail(self.kept, slow_s=slow_s, share=share, delivery=self.delivery)
        provider = TracerProvider(id_generator=self.ids, shutdown_on_exit=False)
        provider.add_span_processor(self.tail)
        self._tracer = provider.get_tracer("test")

    def call(self, name: str = "call", *, of_caller: bool = False) -> trace.Span:
        context = None
        if of_caller:
            remote = SpanContext(
                self.ids.trace, 7, is_remote=True, trace_flags=TraceFlags(1)
            )
            context = trace.set_span_in_context(NonRecordingSpan(remote))
        return self._tracer.start_span(name, context=context, start_time=0)

    def below(self, parent: trace.Span, name: str = "below") -> trace.Span:
        context = trace.set_span_in_context(parent)
        return self._tracer.start_span(name, context=context, start_time=0)


def _nothing(_: trace.Span, __: trace.Span) -> None:
    """Let all go well."""


def _fails(_: trace.Span, below: trace.Span) -> None:
    below.set_status(Status(StatusCode.ERROR))


def _fails_whole(call: trace.Span, _: trace.Span) -> None:
    call.set_status(Status(StatusCode.ERROR))


def _falls_back(call: trace.Span, _: trace.Span) -> None:
    call.set_attribute(semconv.FALLBACK_REASON, "timeout")


def _is_debugged(call: trace.Span, _: trace.Span) -> None:
    call.set_attribute(semconv.DEBUG, value=True)


@pytest.mark.parametrize("happens", [_fails, _fails_whole, _falls_back, _is_debugged])
def test_a_notable_trace_is_kept_whole(
    happens: Callable[[trace.Span, trace.Span], None],
) -> None:
    scene = Scene()
    call = scene.call()
    below = scene.below(call)
    happens(call, below)
    below.end(end_time=1)
    assert not scene.kept.names
    call.end(end_time=2)
    assert scene.kept.names == ["below", "call"]
    assert scene.kept.started == ["call", "below"]


def test_a_trace_of_which_there_is_nothing_to_say_is_left_out() -> None:
    scene = Scene()
    call = scene.call()
    scene.below(call).end(end_time=1)
    call.end(end_time=2)
    assert not scene.kept.names
    assert not scene.delivery.refused


@pytest.mark.parametrize(("took_ns", "kept"), [(SECOND, False), (SECOND + 1, True)])
def test_a_slow_call_is_kept(took_ns: int, *, kept: bool) -> None:
    scene = Scene(slow_s=1.0)
    call = scene.call()
    scene.below(call).end(end_time=5 * SECOND)  # only the call counts
    call.end(end_time=took_ns)
    assert bool(scene.kept.names) is kept


@pytest.mark.parametrize(
    ("part", "share", "kept"),
    [
        (0, 0.0, False),
        (0, 0.05, True),
        (int(0.05 * 2**56) - 1, 0.05, True),
        (int(0.05 * 2**56) + 1, 0.05, False),
        (2**56 - 1, 0.05, False),
        (2**56 - 1, 1.0, True),
    ],
)
def test_of_the_others_a_share_is_kept_by_their_ids(
    part: int, share: float, *, kept: bool
) -> None:
    scene = Scene(share=share)
    # What stands before the random part counts for nothing.
    scene.ids.trace = (0xABCD << 100) | part
    scene.call().end(end_time=1)
    assert bool(scene.kept.names) is kept


def test_a_callers_trace_is_decided_when_our_part_of_it_is_over() -> None:
    scene = Scene()
    call = scene.call(of_caller=True)
    below = scene.below(call)
    _fails(call, below)
    below.end(end_time=1)
    call.end(end_time=2)
    assert scene.kept.names == ["below", "call"]


@pytest.mark.parametrize("happens", [_nothing, _fails])
def test_what_ends_after_its_call_goes_the_same_way(
    happens: Callable[[trace.Span, trace.Span], None],
) -> None:
    """As a call to a backend that another caller waits for too."""
    scene = Scene()
    call = scene.call()
    late = scene.below(call, "late")
    below = scene.below(call)
    happens(call, below)
    below.end(end_time=1)
    call.end(end_time=2)
    late.end(end_time=3)
    kept = happens is _fails
    assert scene.kept.names == (["below", "call", "late"] if kept else [])
    assert not scene.tail._waiting


def test_calls_of_one_trace_at_a_time_are_decided_together() -> None:
    scene = Scene()
    first = scene.call("first", of_caller=True)
    second = scene.call("second", of_caller=True)
    scene.below(second, "below second").end(end_time=1)
    first.end(end_time=2)
    assert not scene.kept.names
    _falls_back(second, second)
    second.end(end_time=3)
    assert scene.kept.names == ["below second", "first", "second"]


def test_a_call_after_one_that_was_kept_is_kept() -> None:
    scene = Scene()
    first = scene.call("first", of_caller=True)
    _falls_back(first, first)
    first.end(end_time=1)
    scene.call("second", of_caller=True).end(end_time=2)
    assert scene.kept.names == ["first", "second"]


def test_a_call_after_one_that_was_left_out_is_judged_by_itself() -> None:
    scene = Scene()
    scene.call("first", of_caller=True).end(end_time=1)
    second = scene.call("second", of_caller=True)
    _falls_back(second, second)
    second.end(end_time=2)
    assert scene.kept.names == ["second"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_MOST_TRACES", 3)


@pytest.mark.usefixtures("few")
def test_too_many_traces_at_once_cost_the_oldest_and_are_counted() -> None:
    scene = Scene()
    calls = []
    for number in range(5):
        scene.ids.trace += 2**60
        call = scene.call(f"call {number}")
        _falls_back(call, call)
        scene.below(call, f"below {number}").end(end_time=1)
        calls.append(call)
    for call in calls:
        call.end(end_time=2)
    assert scene.delivery.refused == scene.delivery.dropped == 2
    assert scene.kept.names == [
        *("call 0", "call 1"),
        *("below 2", "call 2", "below 3", "call 3", "below 4", "call 4"),
    ]


@pytest.mark.parametrize("happens", [_nothing, _fails])
def test_of_a_trace_without_end_the_first_spans_wait(
    happens: Callable[[trace.Span, trace.Span], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_MOST_SPANS", 2)
    scene = Scene()
    call = scene.call()
    for number in range(4):
        below = scene.below(call, f"below {number}")
        if number == 3:
            happens(call, below)
        below.end(end_time=1)
    assert scene.delivery.refused == 2
    call.end(end_time=2)
    # Also where that of which there is something to say found no room any more.
    kept = ["below 0", "below 1", "call"] if happens is _fails else []
    assert scene.kept.names == kept


@pytest.mark.usefixtures("few")
def test_it_remembers_only_so_much() -> None:
    scene = Scene()
    for _ in range(50):
        scene.ids.trace += 2**60
        call = scene.call()
        late = scene.below(call)
        call.end(end_time=1)
        late.end(end_time=2)
    assert not scene.tail._waiting
    assert not scene.tail._calls
    assert len(scene.tail._kept) == 3


def test_its_end_and_its_flush_are_passed_on() -> None:
    scene = Scene()
    assert scene.tail.force_flush(100)
    scene.tail.shutdown()
    assert (scene.kept.flushed, scene.kept.shut) == (True, True)


# In a whole gateway


@pytest.mark.real_time
@pytest.mark.parametrize("keep", ["all", "notable"])
async def test_a_gateway_sends_what_is_notable_and_counts_everything(keep: str) -> None:
    async with Vendor(GOOD) as good, Vendor(DOWN) as bad:
        backends = {
            name: {"dialect": "llamacpp", "url": vendor.url, **LLAMACPP.settings}
            for name, vendor in (("good", good), ("bad", bad))
        }
        settings = {
            "server": {"allow_debug": True},
            "backends": backends,
            "routes": {
                "default": {"backends": ["good"]},
                "rescued": {"backends": ["bad", "good"]},
                "failing": {"backends": ["bad"]},
            },
            "telemetry": {"keep": keep, "keep_share": 0, "slow_s": 60},
        }
        async with playing(settings) as scene:
            for _ in range(3):
                await scene.rerank(rerank_request(2))
            await scene.rerank(rerank_request(2, route="rescued"))
            await scene.rerank(rerank_request(2, route="failing"))
            await scene.rerank(rerank_request(2), metadata=[("x-rerank-debug", "1")])
            await scene.rerank(rerank_request(2, top_n=-1))
    collector = scene.told.collector
    routes = [
        values(span.attributes).get(semconv.ROUTE, "")
        for span in collector.spans
        if not span.parent_span_id
    ]
    notable = ["rescued", "failing", "default"]
    assert routes == (
        notable if keep == "notable" else [*["default"] * 3, *notable, ""]
    )
    assert sum(collector.counts("rpc.server.call.duration").values()) == 7
    assert not collector.counts("rerank_gateway.telemetry.dropped")


@pytest.mark.real_time
async def test_a_gateway_sends_slow_calls() -> None:
    async with Vendor(TEI.scored(by_place), info=TEI.info) as vendor:
        settings = {
            "backends": {"tei": {"dialect": "tei", "url": vendor.url}},
            "routes": {"default": {"backends": ["tei"]}},
            "telemetry": {"keep": "notable", "keep_share": 0, "slow_s": 1e-6},
        }
        async with playing(settings) as scene:
            await scene.rerank(rerank_request(2))
    assert [span.name for span in scene.told.collector.spans] == [
        *("rerank.v1.RerankService/Rerank", "rerank", "POST")
    ]
