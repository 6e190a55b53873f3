"""The ledger's file off the event loop: one thread, and one transaction for all who wait.

While one transaction is written the next steps queue up, and are written together: the
busier, the more in one. A reservation is waited for, so that it is written before a backend
is asked; a settlement is not.

What is written survives the death of the process at any moment. A loss of power may take the
last transactions with it, unless `fsync` says otherwise.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue

from gateway.tenants.amounts import NOTHING, Amount
from gateway.tenants.ledger import (
    Account,
    Excess,
    LedgerUnusable,
    Reservation,
)
from gateway.tenants.ledger_file import LedgerFile, Reserve, Save, Settle, Step
from gateway.tenants.limits import Daily
from gateway.tenants.owners import LockedOwner

_MOST_AT_ONCE = 1000

# How long it waits before it tries again to write what has to be written.
_AGAIN_S = 0.5
# How often, at the end.
_LAST_TRIES = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    step: Step
    done: "asyncio.Future[Excess | None] | None"
    """None: nobody waits for it, and it must not be lost."""


class LedgerThread:
    """A `Ledger` in a file that processes of one machine share.

    Args:
        path: The file; its folder is made.
        keep_days: How long a day is kept.
        fsync: Have each transaction survive a loss of power.
        tell: Told, in the loop, what is wrong where nobody waits to hear it.

    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: int,
        fsync: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._path = path
        self._keep_days = keep_days
        self._fsync = fsync
        self._tell = tell
        self._wishes: SimpleQueue[_Wish | None] = SimpleQueue()
        self._numbers = count(1)
        self._loop: asyncio.AbstractEventLoop
        self._owner: LockedOwner

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be of use within the block, and write everything down at its end.

        Raises:
            LedgerUnusable: The file cannot be opened.

        """
        self._loop = asyncio.get_running_loop()
        file = await asyncio.to_thread(self._open)
        thread = threading.Thread(
            target=self._write_on, args=(file,), name="ledger", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._wishes.put(None)
            await asyncio.to_thread(thread.join)
            self._owner.close()

    async def reserve(
        self, account: Account, amounts: Sequence[Amount], daily: Daily
    ) -> Sequence[Reservation] | Excess:
        """Keep something back, and return when that is written."""
        owner = self._owner.name
        kept = [
            Reservation(f"{owner}-{next(self._numbers)}", account, amount)
            for amount in amounts
        ]
        done: asyncio.Future[Excess | None] = self._loop.create_future()
        self._wishes.put(_Wish(Reserve(account, kept, daily), done))
        try:
            excess = await done
        except asyncio.CancelledError:
            # It may be written already, or still will be: after that it is taken back.
            for each in kept:
                self.settle(each, NOTHING, estimated=False)
            raise
        return excess or kept

    def settle(
        self, reservation: Reservation, amount: Amount, *, estimated: bool
    ) -> None:
        """Have a call settled."""
        self._wishes.put(_Wish(Settle(reservation, amount, estimated), None))

    def save(self, account: Account, amount: Amount) -> None:
        """Have a saving noted."""
        self._wishes.put(_Wish(Save(account, amount), None))

    # What follows runs in threads.

    def _open(self) -> LedgerFile:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._owner = LockedOwner(self._path)
        except OSError as error:
            message = f"{self._path}: {error.strerror}"
            raise LedgerUnusable(message) from error
        try:
            # Opened here, used by the one thread that writes: never by two at once.
            return LedgerFile(
                self._path,
                owner=self._owner,
                keep_days=self._keep_days,
                fsync=self._fsync,
            )
        except LedgerUnusable:
            self._owner.close()
            raise

    def _write_on(self, file: LedgerFile) -> None:
        owed: list[_Wish] = []
        going = True
        while going:
            wishes, going = self._next(wait=not owed)
            owed = self._write(file, [*owed, *wishes])
        for _ in range(_LAST_TRIES):
            if not owed:
                break
            threading.Event().wait(_AGAIN_S)
            owed = self._write(file, owed)
        file.close()

    def _next(self, *, wait: bool) -> tuple[list[_Wish], bool]:
        """Take what is there; nothing only where something is to be tried again."""
        wishes: list[_Wish] = []
        with suppress(Empty):
            timeout_s = None if wait else _AGAIN_S
            while len(wishes) < _MOST_AT_ONCE:
                wish = self._wishes.get(block=not wishes, timeout=timeout_s)
                if wish is None:
                    return wishes, False
                wishes.append(wish)
        return wishes, True

    def _write(self, file: LedgerFile, wishes: Sequence[_Wish]) -> list[_Wish]:
        """Write all, and give what must be tried again."""
        if not wishes:
            return []
        try:
            outcomes = file.apply([each.step for each in wishes])
        except LedgerUnusable as error:
            self._call(self._failed, wishes, error)
            return [each for each in wishes if each.done is None]
        waiting = [
            (each.done, outcome)
            for each, outcome in zip(wishes, outcomes, strict=True)
            if each.done
        ]
        if waiting:
            self._call(_answer, waiting)
        return []

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        # The loop may be gone where it was not left in order.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # And this again in the loop.

    def _failed(self, wishes: Sequence[_Wish], error: LedgerUnusable) -> None:
        self._tell(str(error))
        for wish in wishes:
            if wish.done and not wish.done.done():
                wish.done.set_exception(error)


def _answer(
    waiting: Sequence[tuple["asyncio.Future[Excess | None]", Excess | None]],
) -> None:
    for done, outcome in waiting:
        if not done.done():
            done.set_result(outcome)
