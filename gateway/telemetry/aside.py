"""Work that may hang, in a thread that nobody waits for when the process ends."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


def aside(work: Callable[[], T]) -> asyncio.Future[T | None]:
    """Begin it; gives what will come of it, None if it raises.

    The event loop's own threads would keep the process until they are done, and those
    that send telemetry may wait for a name server as long as that likes.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T | None] = loop.create_future()

    def settle(result: T | None) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def run() -> None:
        result: T | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            _log.warning("telemetry is not sent: %s", type(error).__name__)
        finally:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(settle, result)

    Thread(target=run, name="telemetry", daemon=True).start()
    return outcome
