"""Ask a backend only so many things at once, and let only those wait who can still make it."""

import asyncio
from dataclasses import dataclass

from gateway.backends.errors import BackendError, Overloaded, TooLate
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.layers.fair_queue import FairQueue
from gateway.layers.recent import Recent

# How much the latest call weighs in the moving means: about the last ten count.
_WEIGHT = 0.1
# Beyond its mean, in mean deviations, what a call is expected to take at most. Under load
# all that waits has just enough time: with the mean alone, half of it would be late.
_CAUTION = 2.0

# So long a caller who was here keeps a claim to an even part, at least.
_HERE_S = 60.0
# Of so many slots one is kept free, where nobody says how many.
_SLOTS_PER_KEPT = 8


def kept_by_default(in_flight: int) -> int:
    """Tell how many of so many slots are kept free: an eighth, and of a single one none."""
    return 0 if in_flight == 1 else -(-in_flight // _SLOTS_PER_KEPT)


class Limit:
    """Bounds the calls in flight and the calls waiting for their turn.

    Turns are fair between callers: see `FairQueue`. Where a new call would have to wait,
    it is refused at once if its turn and then the answer would come too late, reckoned
    from how long calls took lately; while nothing is known, nobody is refused for that.
    A call that waits is refused when it can no longer make it, without having asked. A
    slot that is free to a caller is given to it: what was learned of slow days must not
    outlast them.

    Turns alone let a caller who has nothing running wait until one of the greedy ones'
    calls ends. So whoever holds an even part of the slots already, of as many parts as
    callers were here in the last minute, leaves the last few free to those who hold less.
    Alone, a caller takes all.

    Args:
        scorer: What is protected.
        backend: Its name, for errors.
        in_flight: Calls at once.
        queued: Calls waiting on top; 0 lets none wait.
        kept_free: Of the calls at once, how many are for callers who hold less than an
            even part; less than all.

    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        backend: str,
        in_flight: int,
        queued: int,
        kept_free: int = 0,
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._in_flight = in_flight
        self._kept_free = min(kept_free, in_flight - 1)
        # More callers than slots have no smaller parts than one slot each.
        self._here = Recent(for_s=_HERE_S, most=in_flight)
        self._queue: FairQueue[_Waiting] = FairQueue(most=queued)
        self._pace = _Pace()

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask when it is this call's turn, or raise `Overloaded`."""
        loop = asyncio.get_running_loop()
        if self._kept_free:
            self._here.see(request.caller, loop.time())
            # Somebody was forgotten since: what was kept free may be for those who wait.
            self._hand_over()
        # No slot that is free to this caller is so to anybody who waits and comes first:
        # it was handed over.
        if self._queue.running < self._slots_of(request.caller):
            self._queue.begin(request.caller)
        else:
            await self._turn(request, loop.time())
        began = loop.time()
        try:
            scores = await self._scorer.score(request)
        except BackendError as error:
            # What was refused quickly tells nothing of how long an answer takes.
            if error.blames_backend:
                self._pace.learn(loop.time() - began)
            raise
        else:
            self._pace.learn(loop.time() - began)
            return scores
        finally:
            self._leave(request.caller)

    async def _turn(self, request: ScoreRequest, now: float) -> None:
        ahead = self._queue.ahead_of(request.caller)
        wait_s = self._pace.mean_s * (ahead + 1) / self._slots_of(request.caller)
        if now + wait_s + self._pace.at_most_s > request.deadline:
            detail = f"its turn would come too late, in {wait_s:.2f} s"
            raise TooLate(self._backend, detail)
        turn: asyncio.Future[BackendError | None] = asyncio.Future()
        waiting = _Waiting(request.caller, request.deadline, turn)
        pushed = self._queue.push(request.caller, waiting)
        if pushed.displaced:
            detail = "a caller with fewer calls took its place in the queue"
            pushed.displaced.turn.set_result(Overloaded(self._backend, detail))
        if not pushed.waits:
            raise Overloaded(self._backend, f"{len(self._queue)} calls wait for it")
        has_turn = False
        try:
            async with asyncio.timeout_at(request.deadline - self._pace.mean_s):
                refused = await turn
            if refused:
                raise refused
            has_turn = True
        except TimeoutError as error:
            raise self._too_late() from error
        finally:
            if not has_turn:
                self._give_up(waiting)

    def _give_up(self, waiting: "_Waiting") -> None:
        self._queue.discard(waiting.caller, waiting)
        # Its turn, and the end of its patience, may have come in the same moment.
        turn = waiting.turn
        if turn.done() and not turn.cancelled() and turn.result() is None:
            self._leave(waiting.caller)

    def _leave(self, caller: str) -> None:
        self._queue.end(caller)
        self._hand_over()

    def _slots_of(self, caller: str) -> int:
        """Count the slots that may be taken before this caller has to wait."""
        if not self._kept_free:
            return self._in_flight
        parts = max(self._here.count(asyncio.get_running_loop().time()), 1)
        holds_less = self._queue.running_of(caller) * parts < self._in_flight
        return self._in_flight - (0 if holds_less else self._kept_free)

    def _hand_over(self) -> None:
        """Give free slots to the next who can make use of them.

        Who is next holds the least. If what is free is not for him, it is for nobody who
        waits; as all hold their parts then, some call runs, whose end comes here again.
        """
        now = asyncio.get_running_loop().time()
        while self._queue and self._queue.running < self._slots_of(self._queue.next):
            following = self._queue.pop()
            if following.turn.done():  # cancelled, and has not got to leave yet
                continue
            if now + self._pace.mean_s > following.deadline:
                following.turn.set_result(self._too_late())
                continue
            self._queue.begin(following.caller)
            following.turn.set_result(None)

    def _too_late(self) -> TooLate:
        return TooLate(self._backend, "its turn came too late")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A call that waits for its turn."""

    caller: str
    deadline: float
    turn: asyncio.Future[BackendError | None]
    """None: it is there; else why it does not come."""


class _Pace:
    """How long calls took lately; nothing, while none has ended."""

    def __init__(self) -> None:
        self.mean_s = 0.0
        self._deviation_s = 0.0
        self._known = False

    @property
    def at_most_s(self) -> float:
        """What a call is expected to take at most."""
        return self.mean_s + _CAUTION * self._deviation_s

    def learn(self, took_s: float) -> None:
        if not self._known:
            self.mean_s, self._known = took_s, True
            return
        off_s = took_s - self.mean_s
        self._deviation_s += _WEIGHT * (abs(off_s) - self._deviation_s)
        self.mean_s += _WEIGHT * off_s
