"""`rerank-gateway worker`: one of the processes of `serve`, which alone starts it."""

import asyncio
import base64
import gc
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.failing import MISTAKE, fail
from gateway.events import Emit, Reloaded, ReloadOutcome, each_of

if TYPE_CHECKING:
    from gateway.compose import Gateway
    from gateway.workers.following import Following
    from gateway.workers.starting import Start

_log = logging.getLogger(__name__)

_SERVING_S = 5.0
"""How long the parent may take to hear that this worker serves, and its last words."""
_OTHERS_S = 2.0
"""The same, to ask all of the others."""

_OBJECTS_TO_LOOK = 20_000
"""New objects that hold others, before those that refer to each other are looked for."""


def worker(
    _: Annotated[int, typer.Argument(metavar="PLACE", help="Which one it is.")],
) -> None:
    """Serve as one of several; started by `serve` alone."""
    from gateway.logs import lines_to_stderr
    from gateway.logs.audit import audit
    from gateway.workers.starting import NotStarted, receive

    try:
        start, parent = receive()
    except NotStarted:
        fail("a worker is started by `rerank-gateway serve` alone", MISTAKE)
    with (
        lines_to_stderr(start.settings.logs, worker=start.place),
        audit(start.settings.logs, worker=start.place) as noted,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        code = runner.run(_serve(start, parent, noted))
    raise SystemExit(code)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop where it is installed: a sixth less CPU per call."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def settle_memory() -> None:
    """Take what is there now for what will stay, and look for garbage less often.

    A call makes some thousand objects and next to no cycles. Measured: with every trace
    exported, whose spans live for seconds, 4 % of the CPU time of a remembered call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_TO_LOOK, *gc.get_threshold()[1:])


async def _serve(start: "Start", parent: socket.socket, noted: Emit) -> int:
    from gateway.compose import gateway
    from gateway.identity.certificates import CertificateError
    from gateway.listening import AddressError
    from gateway.logs import EventLog
    from gateway.settings.credentials import WrongKeysError
    from gateway.siblings import Siblings
    from gateway.tenants.ledger import LedgerUnusable
    from gateway.workers.following import Following
    from gateway.workers.link import LinkEnded, linked

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the parent who reloads
    serving: list[tuple[Gateway, Following]] = []

    async def answer(what: str, value: Any) -> object:  # noqa: ANN401 - JSON, of any kind
        return await _told(*serving[0], what, value)

    async def others_backends() -> list[bytes]:
        with suppress(LinkEnded, TimeoutError):
            told = await link.ask("others' backends", within_s=_OTHERS_S)
            return [base64.b64decode(each) for each in told]
        return []

    settings = start.settings
    siblings = Siblings(start.place, start.count, others_backends)
    # Whose parent is gone is nobody's any more.
    async with linked(parent, answer, gone=stop.set) as link:
        try:
            async with gateway(
                settings,
                each_of(EventLog(settings.logs), noted),
                siblings=siblings,
            ) as running:
                settle_memory()
                serving.append((running, Following(running.prepare)))
                with suppress(LinkEnded, TimeoutError):
                    newest = await link.ask("serves", within_s=_SERVING_S)
                    # There was a reload since it was started.
                    if newest and not await _follow(serving[0][1], newest):
                        return 1
                await stop.wait()
                await running.server.stop(
                    grace_s=running.current.now.settings.server.grace_s
                )
                numbers = await running.numbers()
                with suppress(LinkEnded, TimeoutError):
                    await link.ask("last numbers", numbers, within_s=_SERVING_S)
        except (
            AddressError,
            CertificateError,
            LedgerUnusable,
            WrongKeysError,
        ) as error:
            with suppress(LinkEnded, TimeoutError):
                await link.ask("cannot serve", str(error), within_s=_SERVING_S)
            return 1
    return 0


async def _follow(following: "Following", newest: str) -> bool:
    """Serve with other settings; false: they cannot be served."""
    if problems := await following.follow(newest):
        _log.error("the newest configuration cannot be served: %s", "; ".join(problems))
        return False
    return True


async def _told(
    running: "Gateway",
    following: "Following",
    what: str,
    value: Any,  # noqa: ANN401 - JSON, of any kind
) -> Any:  # noqa: ANN401 - likewise
    """Do what the parent asks, and answer."""
    match what:
        case "backends":
            return base64.b64encode(running.backends()).decode()
        case "prepare":
            return await following.prepare(value)
        case "apply":
            await following.apply()
        case "discard":
            await following.discard()
        case "reloaded":
            running.count(Reloaded("its parent", ReloadOutcome(value), 0.0))
        case _:
            return await running.numbers()
    return None
