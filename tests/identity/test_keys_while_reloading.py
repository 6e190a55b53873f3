"""A file of keys that is replaced while another configuration is on its way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.compose import identity
from gateway.compose.identity import entrance
from gateway.identity.keys import hash_of, new_key
from gateway.identity.shown import Shown
from gateway.reloading.change import Prepare
from gateway.settings import Settings, checked
from gateway.settings.credentials import read_keys

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0
_OLD, _NEW, _INLINE = new_key(), new_key(), new_key()


@dataclass(frozen=True, slots=True)
class Scene:
    file: Path
    identify: Any
    prepare: Prepare

    async def knows(self, key: str) -> bool:
        shown = Shown([("authorization", f"Bearer {key}")])
        return await self.identify(shown) is not None

    async def until_known(self, key: str) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                if await self.knows(key):
                    return
                await asyncio.sleep(0)


def _write(file: Path, key: str) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(f'[identity.keys.filed]\nsha256 = "{hash_of(key)}"\n')
    beside.rename(file)


def _settings(file: Path, *inline: str) -> Settings:
    keys = {
        f"inline{place}": {"sha256": hash_of(key)} for place, key in enumerate(inline)
    }
    said = {
        "mode": "keys",
        "keys_file": str(file),
        "look_every_s": 0.001,
        "keys": keys,
    }
    return checked({"identity": said})


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    file = tmp_path / "keys"
    _write(file, _OLD)
    async with AsyncExitStack() as parts:
        door, prepare = await entrance(_settings(file), parts)
        yield Scene(file, door.identify, prepare)


async def test_one_that_was_taken_away_does_not_come_back(scene: Scene) -> None:
    change = await scene.prepare(_settings(scene.file, _INLINE))
    # Something else takes long to be ready, such as a model.
    _write(scene.file, _NEW)
    await scene.until_known(_NEW)
    assert not await scene.knows(_INLINE)
    change.apply()
    assert await scene.knows(_NEW)
    assert await scene.knows(_INLINE)
    assert not await scene.knows(_OLD)


async def test_what_is_discarded_leaves_nothing(scene: Scene) -> None:
    change = await scene.prepare(_settings(scene.file, _INLINE))
    await change.discard()
    _write(scene.file, _NEW)
    await scene.until_known(_NEW)
    assert not await scene.knows(_INLINE)


async def test_what_is_put_in_place_while_the_file_is_read_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = await scene.prepare(_settings(scene.file, _INLINE))
    loop = asyncio.get_running_loop()
    read, reads = read_keys, 0

    def slow(*said: Any) -> Any:
        nonlocal reads
        reads += 1
        known = read(*said)
        if reads == 1:
            asyncio.run_coroutine_threadsafe(applied(), loop).result(_PATIENCE_S)
        return known

    async def applied() -> None:
        change.apply()

    monkeypatch.setattr(identity, "read_keys", slow)
    _write(scene.file, _NEW)
    await scene.until_known(_NEW)
    assert await scene.knows(_INLINE)
    assert not await scene.knows(_OLD)
