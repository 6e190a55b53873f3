"""What remembers scores, and what is done without where it cannot be had."""

import logging
import sys
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from gateway.compose.memories import memories
from gateway.settings import CacheSettings


@pytest.mark.parametrize(
    ("settings", "tiers"),
    [(CacheSettings(), ["process"]), (CacheSettings(max_bytes=0), [])],
)
async def test_only_what_is_wanted_remembers(
    settings: CacheSettings, tiers: list[str]
) -> None:
    async with AsyncExitStack() as parts:
        built = await memories(settings, emit=lambda _: None, parts=parts)
    assert [each.name for each in built.tiers] == tiers
    assert [each.memory for each in built.tiers if each.name == "process"] == (
        [built.process] if built.process else []
    )


async def test_without_its_package_nothing_is_shared_and_the_process_remembers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "gateway.layers.redis_memory", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    settings = CacheSettings(
        url="redis://localhost:1/0", key_env="KEY", key=SecretStr("x" * 32)
    )
    async with AsyncExitStack() as parts:
        with caplog.at_level(logging.ERROR):
            built = await memories(settings, emit=lambda _: None, parts=parts)
    assert [each.name for each in built.tiers] == ["process"]
    assert "pip install 'rerank-gateway[shared]'" in caplog.text
