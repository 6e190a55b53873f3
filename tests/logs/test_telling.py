"""Which events become lines, and in which words."""

import asyncio
import logging

import pytest

from gateway.backends.errors import Attempt, BackendState, FailureReason
from gateway.events import (
    AttemptEnded,
    BackendSilent,
    CacheRead,
    CallEnded,
    CircuitChanged,
    CircuitState,
    FactsLearned,
    Hedged,
    LedgerSilent,
    SharedCacheFailed,
    TenantRefused,
)
from gateway.logs import EventLog, telling
from gateway.logs.lines import Told
from gateway.settings import LogSettings
from gateway.telemetry import semconv

RERANK = "rerank.v1.RerankService/Rerank"
ANSWERED = CallEnded(RERANK, "OK", 0.0124, outcome="RERANKED")
FELL_BACK = CallEnded(
    RERANK,
    "OK",
    0.8,
    outcome="FELL_BACK",
    search_method="rrf_hybrid",
    fallback=True,
    fallback_reason="TIMEOUT",
    route="default",
    candidates=100,
    returned=10,
    attempts=1,
)
REFUSED = CallEnded(RERANK, "INVALID_ARGUMENT", 0.001)
PARTLY = CallEnded(f"{RERANK}Batch", "OK", 0.1, requests=2, refused=1)


@pytest.fixture(autouse=True)
def from_info_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway")


def failed(
    backend: str = "tei", reason: FailureReason = FailureReason.TIMEOUT
) -> AttemptEnded:
    return AttemptEnded(
        Attempt(backend, "m", reason, 0.8, 5),
        f"{backend}: no answer in 0.80 s",
        BackendState.DEGRADED,
    )


async def test_an_answer_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    attempt = Attempt("tei", "m", None, 0.1, 5)
    EventLog()(AttemptEnded(attempt, "", BackendState.READY))
    assert caplog.messages == []


async def test_a_failure_is_told_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    EventLog()(failed())
    assert caplog.messages == ["tei: no answer in 0.80 s [TIMEOUT]"]
    assert caplog.records[0].levelname == "WARNING"


async def test_the_same_failure_is_told_once_in_ten_seconds_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog()
    for _ in range(101):
        log(failed())
        await asyncio.sleep(0.1)
    assert caplog.messages == [
        "tei: no answer in 0.80 s [TIMEOUT]",
        "tei: no answer in 0.80 s [TIMEOUT] (99 more since the last such line)",
    ]


async def test_after_a_pause_nothing_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog()
    log(failed())
    await asyncio.sleep(60)
    log(failed())
    assert caplog.messages == ["tei: no answer in 0.80 s [TIMEOUT]"] * 2


async def test_another_backend_or_another_reason_is_told_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog()
    log(failed("tei"))
    log(failed("cohere"))
    log(failed("tei", FailureReason.UNAVAILABLE))
    assert len(caplog.messages) == 3


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("bge", "backend tei serves bge, takes 64 documents in one call"),
        ("", "backend tei takes 64 documents in one call"),
    ],
)
async def test_what_a_backend_told_is_news(
    caplog: pytest.LogCaptureFixture, model: str, words: str
) -> None:
    EventLog()(FactsLearned("tei", model, 64))
    assert caplog.messages == [words]
    assert caplog.records[0].levelname == "INFO"


async def test_a_tenant_that_may_use_no_more_is_told_once_in_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog()
    for _ in range(3):
        log(TenantRefused("acme", "daily_budget"))
    log(TenantRefused("acme", "requests_per_s"))
    assert caplog.messages == [
        "tenant acme has used up what it may use [daily_budget]",
        "tenant acme has used up what it may use [requests_per_s]",
    ]


async def test_a_ledger_that_cannot_be_written_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    EventLog()(LedgerSilent("l.sqlite: database is locked"))
    assert caplog.messages == [
        "the ledger cannot be written: l.sqlite: database is locked [UNAVAILABLE]"
    ]


async def test_so_is_its_silence(caplog: pytest.LogCaptureFixture) -> None:
    EventLog()(BackendSilent("tei", "HTTP 404"))
    assert caplog.messages == ["backend tei does not tell about itself: HTTP 404"]
    assert caplog.records[0].levelname == "WARNING"


async def test_a_circuit_that_changes_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    EventLog()(CircuitChanged("tei", CircuitState.OPEN))
    assert caplog.messages == ["backend tei: its circuit is OPEN"]
    assert caplog.records[0].levelname == "WARNING"


async def test_a_shared_memory_that_fails_is_told_as_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    EventLog()(SharedCacheFailed("cache.shared: no answer"))
    assert caplog.messages == ["cache.shared: no answer [UNAVAILABLE]"]


async def test_what_happens_in_every_call_gets_no_line_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog(LogSettings())
    log(CacheRead("tei", "process", 1, 2))
    log(Hedged("tei", won=True))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ("all", [ANSWERED, FELL_BACK, REFUSED, PARTLY]),
        ("failed", [FELL_BACK, REFUSED, PARTLY]),
        ("none", []),
    ],
)
def test_the_settings_say_which_calls_get_their_line(
    caplog: pytest.LogCaptureFixture, calls: str, told: list[CallEnded]
) -> None:
    log = EventLog(LogSettings.model_validate({"calls": calls}))
    for call in (ANSWERED, FELL_BACK, REFUSED, PARTLY):
        log(call)
    assert [facts(each)["status"] for each in caplog.records] == [
        each.status for each in told
    ]


def test_a_command_that_is_no_server_tells_of_no_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    EventLog()(CallEnded(RERANK, "INTERNAL", 0.1))
    assert caplog.messages == []


@pytest.mark.parametrize(
    "method",
    [
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_what_machines_ask_every_few_seconds_gets_no_line(
    caplog: pytest.LogCaptureFixture, method: str
) -> None:
    EventLog(LogSettings())(CallEnded(method, "OK", 0.1))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("OK", "INFO"),
        ("INVALID_ARGUMENT", "INFO"),
        ("CANCELLED", "INFO"),
        ("RESOURCE_EXHAUSTED", "INFO"),
        *((status, "WARNING") for status in sorted(semconv.SERVER_ERRORS)),
    ],
)
def test_only_an_error_of_the_server_is_a_warning(
    caplog: pytest.LogCaptureFixture, status: str, level: str
) -> None:
    EventLog(LogSettings())(CallEnded(RERANK, status, 0.1))
    assert [each.levelname for each in caplog.records] == [level]


def test_a_server_errs_in_lines_as_it_does_in_traces() -> None:
    assert telling._SERVER_ERRORS == semconv.SERVER_ERRORS


def test_the_line_of_a_call_says_what_became_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog(LogSettings())
    log(FELL_BACK)
    log(REFUSED)
    assert caplog.messages == [
        (
            "Rerank OK in 0.800 s: FELL_BACK after TIMEOUT, rrf_hybrid, 100 candidates, "
            "0 scored, 0 remembered, 10 returned, 1 attempt"
        ),
        "Rerank INVALID_ARGUMENT in 0.001 s",
    ]


async def test_every_line_has_its_facts_for_machines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = EventLog(LogSettings())
    log(failed())
    log(CircuitChanged("tei", CircuitState.OPEN))
    log(FactsLearned("tei", "bge", 64))
    log(BackendSilent("tei", "HTTP 404"))
    log(SharedCacheFailed("no answer"))
    log(REFUSED)
    assert [facts(each) for each in caplog.records] == [
        {
            "event": "attempt_failed",
            "backend": "tei",
            "state": "DEGRADED",
            "duration_s": 0.8,
            "documents": 5,
            "reason": "TIMEOUT",
            "more": 0,
        },
        {"event": "circuit_changed", "backend": "tei", "state": "OPEN"},
        {
            "event": "facts_learned",
            "backend": "tei",
            "model": "bge",
            "max_documents": 64,
        },
        {"event": "backend_silent", "backend": "tei"},
        {"event": "shared_cache_failed", "reason": "UNAVAILABLE", "more": 0},
        {
            "event": "call",
            "method": RERANK,
            "status": "INVALID_ARGUMENT",
            "duration_s": 0.001,
        },
    ]


def facts(record: logging.LogRecord) -> dict[str, object]:
    assert isinstance(record.msg, Told)
    return dict(record.msg.fields)
