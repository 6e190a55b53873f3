"""Ask a backend only so many things at once, and let only those wait who can still make it."""

import asyncio
from dataclasses import dataclass

from gateway.backends.errors import BackendError, Overloaded, TooLate
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.layers.fair_queue import FairQueue

# How much the latest call weighs in the moving means: about the last ten count.
_WEIGHT = 0.1
# Beyond its mean, in mean deviations, what a call is expected to take at most. Under load
# all that waits has just enough time: with the mean alone, half of it would be late.
_CAUTION = 2.0


class Limit:
    """Bounds the calls in flight and the calls waiting for their turn.

    Turns are fair between callers: see `FairQueue`. Where a new call would have to wait,
    it is refused at once if its turn and then the answer would come too late, reckoned
    from how long calls took lately; while nothing is known, nobody is refused for that.
    A call that waits is refused when it can no longer make it, without having asked. A
    free slot is given to anybody: what was learned of slow days must not outlast them.

    Args:
        scorer: What is protected.
        backend: Its name, for errors.
        in_flight: Calls at once.
        queued: Calls waiting on top; 0 lets none wait.

    """

    def __init__(
        self, scorer: Scorer, *, backend: str, in_flight: int, queued: int
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._in_flight = in_flight
        self._queue: FairQueue[_Waiting] = FairQueue(most=queued)
        self._pace = _Pace()

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask when it is this call's turn, or raise `Overloaded`."""
        loop = asyncio.get_running_loop()
        # While somebody waits, no slot is free: whoever leaves hands his over.
        if self._queue.running < self._in_flight:
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
        wait_s = self._pace.mean_s * (ahead + 1) / self._in_flight
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
        """Hand a slot over to the next who can make use of it."""
        self._queue.end(caller)
        now = asyncio.get_running_loop().time()
        while self._queue and self._queue.running < self._in_flight:
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
