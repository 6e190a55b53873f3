"""These tests wait for threads, which virtual time cannot see."""

import asyncio
from typing import Any

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": asyncio.new_event_loop}
