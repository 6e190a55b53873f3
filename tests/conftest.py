"""What every test runs on: virtual time, and a look at what it left behind."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.support.clock import VirtualLoop

# The same examples every time: a suite that is green stays green until something changes.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.load_profile("suite")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs like this, and they hand it on to the commands
    # that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Choose the event loop: virtual time, unless a test is marked `real_time`."""
    real = request.node.get_closest_marker("real_time")
    factory = asyncio.new_event_loop if real else VirtualLoop
    return "asyncio", {"loop_factory": factory}


@pytest.fixture
async def runner_task() -> asyncio.Task[Any] | None:
    """Tell which task runs the test itself."""
    return asyncio.current_task()


@pytest.fixture(autouse=True)
def every_task_is_awaited(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a task behind."""
    if "anyio_backend" not in request.fixturenames:
        yield
        return
    runner: asyncio.Task[Any] = request.getfixturevalue("runner_task")
    yield
    left = asyncio.all_tasks(runner.get_loop()) - {runner}
    assert not left, f"tasks that nobody awaited: {left}"
