"""A worker's side of a reload: what holds already, and what its parent still decides about."""

import asyncio

from gateway.reloading.change import Change
from gateway.settings import Settings
from gateway.workers.following import Following
from gateway.workers.starting import pickled


class Building:
    """Takes its time to build, and notes what is put in place."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.serves: list[str] = []

    async def prepare(self, wanted: Settings) -> Change:
        await self.go_on.wait()

        async def discard() -> None:
            pass

        return Change(lambda: self.serves.append(wanted.server.address), discard)


def listening_on(address: str) -> str:
    server = Settings().server.model_copy(update={"address": address})
    return pickled(Settings().model_copy(update={"server": server}))


async def test_who_catches_up_takes_nothing_that_is_not_decided() -> None:
    building = Building()
    following = Following(building.prepare)
    # It was started with older settings, and meanwhile its parent wants newer ones.
    catching_up = asyncio.create_task(following.follow(listening_on("decided:1")))
    await asyncio.sleep(0)
    preparing = asyncio.create_task(following.prepare(listening_on("asked:2")))
    await asyncio.sleep(0)
    building.go_on.set()
    assert (await catching_up, await preparing) == ([], [])
    assert building.serves == ["decided:1"]
    # Another worker cannot: what serves stays.
    await following.discard()
    assert building.serves == ["decided:1"]
