"""Read the configuration again, and put it in place if all of it is right."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from gateway.events import Reloaded, ReloadOutcome
from gateway.reloading.change import CannotChange
from gateway.reloading.waiting import settled
from gateway.settings import Settings, SettingsError

Put = Callable[[Settings], Awaitable[None]]
"""Puts settings in place of those that serve. Raises `CannotChange`: then nothing has
changed."""

Tell = Callable[[Reloaded], Awaitable[None]]


class Reloading:
    """Reloads when it is told to, one time after the other.

    A configuration with a problem changes nothing. That includes secrets which cannot be read:
    at a start the gateway does without such a backend, but what works is not given up for it.

    Args:
        load: Reads the configuration, on a thread of its own. Raises `SettingsError`.
        began: What it gave at the start.
        serving: The same, with what was found out since, such as the port that was taken.
        put: Puts another one in place.
        tell: Told how each reload ended.

    """

    def __init__(
        self,
        *,
        load: Callable[[], Settings],
        began: Settings,
        serving: Settings,
        put: Put,
        tell: Tell,
    ) -> None:
        self._load = load
        self._began = began
        self._taken = serving
        self.settings = serving
        """What serves."""
        self.wanted = began
        """What was read last, as far as it could be read."""
        self._put = put
        self._tell = tell
        self._by = ""
        self._asked = asyncio.Event()

    def ask(self, by: str) -> None:
        """Have it reload soon; asked for twice meanwhile, it does so once.

        Args:
            by: What asks, such as `SIGHUP`; for operators.

        """
        self._by = by
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload(self._by)

    async def reload(self, by: str) -> Reloaded:
        """Reload now, and tell how it went."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome, problems, waiting = await self._reloaded()
        told = Reloaded(by, outcome, loop.time() - began, problems, waiting)
        await self._tell(told)
        return told

    async def _reloaded(
        self,
    ) -> tuple[ReloadOutcome, tuple[str, ...], tuple[str, ...]]:
        try:
            self.wanted = await asyncio.to_thread(self._load)
            settings, waiting = settled(self._began, self.wanted)
            settings = _as_taken(self._taken, settings)
            if problems := tuple(_unusable(self.settings, settings)):
                return ReloadOutcome.REFUSED, problems, waiting
            if settings == self.settings:
                return ReloadOutcome.UNCHANGED, (), waiting
            await self._put(settings)
        except (SettingsError, CannotChange) as error:
            return ReloadOutcome.REFUSED, error.problems, ()
        self.settings = settings
        return ReloadOutcome.APPLIED, (), waiting


def _as_taken(taken: Settings, settings: Settings) -> Settings:
    """Keep the addresses that were taken, whose ports the configuration may leave open."""
    server = {"address": taken.server.address}
    http = {"address": taken.http.address}
    return settings.model_copy(
        update={
            "server": settings.server.model_copy(update=server),
            "http": settings.http.model_copy(update=http),
        }
    )


def _unusable(serving: Settings, wanted: Settings) -> Iterator[str]:
    """Name what could not be used for want of a secret, and was not so before."""
    for name, backend in wanted.backends.items():
        before = serving.backends.get(name)
        if backend.problem and not (before and before.problem == backend.problem):
            yield f"backends.{name}: {backend.problem}"
    for section in ("embedder", "cache"):
        problem = getattr(wanted, section).problem
        if problem and problem != getattr(serving, section).problem:
            yield f"{section}: {problem}"
