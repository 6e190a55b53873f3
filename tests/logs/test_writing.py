"""Lines are written beside the event loop, whoever reads them and whatever they quote."""

import asyncio
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.events import CallEnded
from gateway.logs import EventLog, lines_to_stderr, writing
from gateway.observing import trace_id
from gateway.settings import LogSettings

CANARY = "canary-4711"
JSON = LogSettings(format="json")
CONSOLE = LogSettings(format="console")
CALL = CallEnded("rerank.v1.RerankService/Rerank", "OK", 0.01)

ours = logging.getLogger("gateway.rpc.guard")
foreign = logging.getLogger("grpc._cython.cygrpc")


class Kept:
    """A file that lines go to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = os.open(path, os.O_CREAT | os.O_WRONLY)

    def text(self) -> str:
        return self._path.read_text("utf-8")

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text().splitlines()]

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines()]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "lines")
    yield kept
    os.close(kept.fd)


class Pipe:
    """A pipe, and who reads it: at first nobody."""

    def __init__(self) -> None:
        self._reads, self.fd = os.pipe()
        self._read = bytearray()
        self._reader = threading.Thread(target=self._read_all)

    def read(self) -> None:
        self._reader.start()

    def lines(self) -> list[dict[str, Any]]:
        """Close what is written to, and give all that came."""
        os.close(self.fd)
        self._reader.join()
        os.close(self._reads)
        return [orjson.loads(line) for line in bytes(self._read).splitlines()]

    def _read_all(self) -> None:
        while some := os.read(self._reads, 1 << 16):
            self._read += some


def wait_for_the_writer(patience_s: float = 10.0) -> None:
    """Wait until no thread writes lines any more."""
    for thread in threading.enumerate():
        if thread.name == "logs":
            thread.join(patience_s)
            assert not thread.is_alive()


def handler() -> writing._Waiting:
    (handler,) = (
        each
        for each in logging.getLogger().handlers
        if isinstance(each, writing._Waiting)
    )
    return handler


# What is written


def test_all_lines_are_written_by_the_end_in_their_order(kept: Kept) -> None:
    with lines_to_stderr(JSON, fd=kept.fd):
        for number in range(3000):
            ours.info("line %d", number)
    assert kept.messages() == [f"line {number}" for number in range(3000)]


def test_a_line_is_there_soon_and_not_only_at_the_end(kept: Kept) -> None:
    with lines_to_stderr(JSON, fd=kept.fd):
        ours.info("listening")
        until = time.monotonic() + 10
        while not kept.text():
            assert time.monotonic() < until
            time.sleep(0.005)
        assert kept.messages() == ["listening"]


def test_people_get_words(kept: Kept) -> None:
    with lines_to_stderr(CONSOLE, fd=kept.fd):
        EventLog(CONSOLE)(CALL)
        ours.error("a bug: %s", "ValueError")
    call, bug = kept.text().splitlines()
    assert call.endswith(" INFO gateway: Rerank OK in 0.010 s")
    assert bug.endswith(" ERROR gateway.rpc.guard: a bug: ValueError")


def test_libraries_speak_the_same_way_from_warnings_on(kept: Kept) -> None:
    with lines_to_stderr(JSON, fd=kept.fd):
        for name in ("asyncio", "grpc", "aiohttp.client", "httpx"):
            logging.getLogger(name).info("routine")
            logging.getLogger(name).warning("%d things", 2)
        ours.debug("routine")
        ours.info("ours")
    assert [
        (line["level"], line["logger"], line["message"]) for line in kept.lines()
    ] == [
        ("WARNING", "asyncio", "2 things"),
        ("WARNING", "grpc", "2 things"),
        ("WARNING", "aiohttp.client", "2 things"),
        ("WARNING", "httpx", "2 things"),
        ("INFO", "gateway.rpc.guard", "ours"),
    ]


def test_afterwards_all_is_as_it_was(kept: Kept) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.getLogger("gateway").level)
    hooks = (threading.excepthook, sys.unraisablehook, warnings.showwarning)
    with lines_to_stderr(JSON, fd=kept.fd):
        pass
    after = (root.handlers[:], root.level, logging.getLogger("gateway").level)
    assert after == before
    assert (threading.excepthook, sys.unraisablehook, warnings.showwarning) == hooks
    wait_for_the_writer()


async def test_a_line_names_the_trace_of_the_call_that_it_was_said_in(
    kept: Kept,
) -> None:
    async def serve(traced: str) -> None:
        trace_id.set(traced)
        await asyncio.sleep(0)
        EventLog(JSON)(CALL)
        ours.warning("within")

    with lines_to_stderr(JSON, fd=kept.fd):
        await asyncio.gather(serve("a" * 32), serve("b" * 32))
        ours.info("outside")
    assert [line.get("trace_id") for line in kept.lines()] == [
        *("a" * 32, "a" * 32),
        *("b" * 32, "b" * 32),
        None,
    ]


# What is never written


def fail_twice() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        raise LookupError(CANARY) from error


def raised() -> Exception:
    try:
        fail_twice()
    except LookupError as error:
        return error
    raise AssertionError


def with_a_traceback() -> None:
    foreign.error("in servicer %s", CANARY, exc_info=raised())


def with_an_argument() -> None:
    foreign.error("failed: %s", raised())


def with_nothing_else() -> None:
    foreign.error(raised())


def with_more_lines() -> None:
    foreign.error("task failed\nfuture: <Task exception=ValueError('%s')>", CANARY)


def of_ours() -> None:
    ours.error("it broke", exc_info=raised())


def in_a_thread() -> None:
    def fail() -> None:
        raise ValueError(CANARY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def in_a_destructor() -> None:
    class Fails:
        def __del__(self) -> None:
            raise ValueError(CANARY)

    Fails()


def in_a_line_that_cannot_be_made() -> None:
    # Said to the handler alone: pytest's own raises.
    record = foreign.makeRecord(
        "grpc", logging.ERROR, __file__, 7, "%d", (CANARY,), None
    )
    handler().handle(record)


@pytest.mark.parametrize("settings", [JSON, CONSOLE], ids=["json", "console"])
@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (with_a_traceback, "LookupError at test_writing.py:"),
        (with_a_traceback, ", from ValueError at test_writing.py:"),
        (with_an_argument, "failed: LookupError"),
        (with_nothing_else, "LookupError"),
        (with_more_lines, "task failed"),
        (of_ours, "it broke (LookupError at test_writing.py:"),
        (in_a_thread, "ValueError at test_writing.py:"),
        (in_a_destructor, "ValueError at test_writing.py:"),
        (
            in_a_line_that_cannot_be_made,
            "a line of test_writing.py:7 cannot be written",
        ),
    ],
)
def test_the_message_of_an_exception_is_not_written(
    kept: Kept,
    capfd: pytest.CaptureFixture[str],
    fail: Callable[[], None],
    words: str,
    settings: LogSettings,
) -> None:
    with lines_to_stderr(settings, fd=kept.fd):
        fail()
    assert words in kept.text()
    assert len(kept.text().splitlines()) == 1
    assert CANARY not in kept.text()
    assert CANARY not in capfd.readouterr().err


def test_nor_is_that_of_a_task_which_nobody_awaited(kept: Kept) -> None:
    async def fail() -> None:
        raise ValueError(CANARY)

    async def forget() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        del task

    with lines_to_stderr(JSON, fd=kept.fd):
        asyncio.run(forget())
    (line,) = kept.lines()
    assert line["logger"] == "asyncio"
    assert line["message"].startswith("ValueError at test_writing.py:")


def test_a_warning_is_a_line(kept: Kept) -> None:
    with (
        warnings.catch_warnings(),
        lines_to_stderr(JSON, fd=kept.fd),
    ):
        warnings.simplefilter("always")
        warnings.warn("it is old", DeprecationWarning, stacklevel=1)
    (line,) = kept.lines()
    assert line["logger"] == "py.warnings"
    assert line["message"].endswith("DeprecationWarning: it is old")


def test_a_long_line_of_a_library_is_cut(kept: Kept) -> None:
    with lines_to_stderr(JSON, fd=kept.fd):
        foreign.warning("x" * 100_000)
    assert kept.messages() == ["x" * 2000]


# Whoever reads slowly


@pytest.mark.real_time
async def test_a_pipe_that_nobody_reads_holds_up_neither_calls_nor_the_end() -> None:
    pipe = Pipe()
    log = EventLog(JSON)
    slowest = 0.0
    with lines_to_stderr(JSON, fd=pipe.fd):
        for _ in range(200):  # four times what a pipe takes
            began = time.perf_counter()
            for _ in range(10):
                log(CALL)
            slowest = max(slowest, time.perf_counter() - began)
            await asyncio.sleep(0.001)
        began = time.perf_counter()
    assert time.perf_counter() - began < 3.0  # one second, and a loaded machine
    assert slowest < 0.5
    pipe.read()
    wait_for_the_writer()
    assert len(pipe.lines()) == 2000


def test_lines_beyond_what_may_wait_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "_MOST_WAITING", 100)
    pipe = Pipe()
    with lines_to_stderr(JSON, fd=pipe.fd):
        for number in range(5000):
            ours.info("line %d %s", number, "x" * 500)
        pipe.read()
        wait_until_empty()
        ours.info("afterwards")
    lines = pipe.lines()
    dropped = [line for line in lines if line.get("event") == "lines_dropped"]
    written = [line for line in lines if line["message"].startswith("line ")]
    assert dropped
    assert dropped[0]["level"] == "WARNING"
    assert dropped[0]["message"].endswith("nobody read them fast enough")
    assert len(written) + sum(line["count"] for line in dropped) == 5000
    assert "afterwards" in [line["message"] for line in lines]


def wait_until_empty() -> None:
    until = time.monotonic() + 10
    while not handler().queue.empty():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_reader_that_left_ends_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with lines_to_stderr(JSON, fd=writes):
        ours.info("nobody hears this")
        time.sleep(0.05)
        ours.info("nor this")
    os.close(writes)
    wait_for_the_writer()


def test_a_pipe_that_does_not_block_gets_every_line() -> None:
    pipe = Pipe()
    os.set_blocking(pipe.fd, False)
    with lines_to_stderr(JSON, fd=pipe.fd):
        for number in range(2000):
            ours.info("line %d %s", number, "x" * 100)
        pipe.read()
        wait_until_empty()
    assert len(pipe.lines()) == 2000


@pytest.mark.real_time
def test_a_line_costs_the_event_loop_little(kept: Kept) -> None:
    log = EventLog(JSON)
    times = []
    with lines_to_stderr(JSON, fd=kept.fd):
        for _ in range(300):
            began = time.perf_counter()
            log(CALL)
            times.append(time.perf_counter() - began)
    # A few microseconds, on a machine that does not do much else.
    assert min(times) < 50e-6
