"""These tests run on the real clock, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    # One loop for a module, so that its tests can share a gateway.
    return "asyncio"


@pytest.fixture(scope="module")
async def runner_task() -> AsyncIterator[asyncio.Task[Any] | None]:
    """Tell which task runs the tests."""
    yield asyncio.current_task()  # noqa: PT022 - it holds the loop open


@pytest.fixture(scope="module", autouse=True)
def every_task_is_awaited(runner_task: asyncio.Task[Any]) -> Iterator[None]:
    """Fail a module that leaves a task behind when all that it started has ended."""
    yield
    left = asyncio.all_tasks(runner_task.get_loop()) - {runner_task}
    assert not left, f"tasks that nobody awaited: {left}"
