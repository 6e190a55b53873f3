"""Several changes as one."""

import pytest

from gateway.reloading.change import CannotChange, Change, Prepare, all_or_nothing
from gateway.settings import Settings, checked


class Hook:
    """One that can be replaced by a reload."""

    def __init__(self, name: str, done: list[str], *, broken: bool = False) -> None:
        self._name = name
        self._done = done
        self._broken = broken

    async def __call__(self, _: Settings) -> Change:
        if self._broken:
            raise CannotChange((f"{self._name}: is broken",))

        async def discard() -> None:
            self._done.append(f"discard {self._name}")

        return Change(lambda: self._done.append(f"apply {self._name}"), discard)


async def _prepared(*hooks: Prepare) -> Change:
    return await all_or_nothing(*hooks)(checked({}))


async def test_all_are_applied_in_their_order() -> None:
    done: list[str] = []
    change = await _prepared(Hook("a", done), Hook("b", done))
    assert not done
    change.apply()
    assert done == ["apply a", "apply b"]


async def test_where_one_cannot_the_others_are_discarded() -> None:
    done: list[str] = []
    with pytest.raises(CannotChange) as told:
        await _prepared(Hook("a", done), Hook("b", done), Hook("c", done, broken=True))
    assert told.value.problems == ("c: is broken",)
    assert done == ["discard b", "discard a"]


async def test_what_is_not_wanted_any_more_is_discarded() -> None:
    done: list[str] = []
    change = await _prepared(Hook("a", done), Hook("b", done))
    await change.discard()
    assert done == ["discard b", "discard a"]
