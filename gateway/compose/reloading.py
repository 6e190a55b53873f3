"""Put another configuration in the place of the one that serves."""

from collections.abc import Iterable
from contextlib import AsyncExitStack

from gateway.compose.lasting import Lasting, Part
from gateway.compose.serving import Serving, serving
from gateway.layers.process_memory import ProcessMemory
from gateway.reloading.change import CannotChange, Change
from gateway.reloading.generations import Current
from gateway.server import Server
from gateway.settings import Settings
from gateway.settings.dividing import divided

_NO_MEMORY = ProcessMemory(max_bytes=0)


class Changing:
    """Builds configurations, and puts them in place.

    Args:
        lasting: What all of them have.
        server: Where they serve.
        current: What serves.

    """

    def __init__(
        self, lasting: Lasting, server: Server, current: Current[Serving]
    ) -> None:
        self._lasting = lasting
        self._server = server
        self._current = current
        self._shows_memory = False
        self._show_memory()

    async def prepare(self, settings: Settings) -> Change:
        """Build a configuration beside the one that serves.

        Args:
            settings: Of all processes that serve together.

        Raises:
            CannotChange: Something cannot be built that was not missing before.

        """
        siblings = self._lasting.siblings
        if siblings.count > 1:
            settings = divided(settings, siblings.share)
        known = set(self._current.now.problems())
        async with AsyncExitStack() as parts:
            following = await serving(settings, self._lasting, self._server, parts)
            problems = tuple(each for each in following.problems() if each not in known)
            if problems:
                raise CannotChange(problems)
            held = parts.pop_all()
        return Change(lambda: self._apply(following, held), held.aclose)

    def _apply(self, following: Serving, held: AsyncExitStack) -> None:
        before = self._current.now
        self._current.replace(following, held.aclose)
        self._server.change(following.settings.server)
        kept = {id(part) for part in following.backends.values()}
        gone = [each for each in before.backends.values() if id(each) not in kept]
        forget(self._lasting, gone)
        expect(self._lasting, following, known=before.backends.values())
        for part in following.backends.values():
            # Gone before, and kept until now by a call that had it still.
            part.voice.speak_again()
        self._show_memory()
        following.announce()

    def _show_memory(self) -> None:
        """Show the memory of scores, once there is one: whichever it is at the time."""
        if self._shows_memory or not self._current.now.memory:
            return
        self._shows_memory = True

        def memory() -> ProcessMemory:
            return self._current.now.memory or _NO_MEMORY

        self._lasting.told.instruments.watch_memory(
            entries=lambda: memory().entries,
            used_bytes=lambda: memory().used_bytes,
            expired=lambda: memory().expired,
            displaced=lambda: memory().displaced,
        )


def expect(lasting: Lasting, following: Serving, *, known: Iterable[Part] = ()) -> None:
    """Show what there is before anything happens.

    Args:
        lasting: Where it is shown.
        following: What serves from now on.
        known: What is shown already.

    """
    shown = lasting.told.instruments
    before = {id(each) for each in known}
    for name, part in following.backends.items():
        if id(part) not in before:
            shown.expect_backend(name, servers=part.built.configured.replicas)
    for route in following.settings.routes.values():
        shown.expect_fallbacks(route.backends[0])


def forget(lasting: Lasting, gone: Iterable[Part]) -> None:
    """Know nothing any more of backends that serve no new call.

    One that is replaced, under the same name, is another one: how the first one was says
    nothing about it.
    """
    for part in gone:
        part.voice.fall_silent()
        configured = part.built.configured
        for name in {configured.name, *configured.replicas}:
            lasting.watch.forget(name)
            lasting.told.instruments.forget_circuit(name)
