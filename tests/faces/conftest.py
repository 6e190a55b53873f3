"""These tests run on the real clock, over real sockets, one event loop for a module."""

from tests.e2e.conftest import anyio_backend, every_task_is_awaited, runner_task

__all__ = ["anyio_backend", "every_task_is_awaited", "runner_task"]
