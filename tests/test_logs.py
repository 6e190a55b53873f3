"""What operators read."""

import asyncio
import logging

import pytest

from gateway.backends.errors import Attempt, BackendState, FailureReason
from gateway.events import AttemptEnded, BackendSilent, FactsLearned
from gateway.logs import EventLog


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


async def test_so_is_its_silence(caplog: pytest.LogCaptureFixture) -> None:
    EventLog()(BackendSilent("tei", "HTTP 404"))
    assert caplog.messages == ["backend tei does not tell about itself: HTTP 404"]
    assert caplog.records[0].levelname == "WARNING"
