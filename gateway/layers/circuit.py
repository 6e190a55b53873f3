"""Whether a backend that failed may be asked again: states and times, no calls and no clock."""

from collections import deque
from dataclasses import dataclass

from gateway.backends.errors import FailureReason
from gateway.events import CircuitState

# The window moves by this part of itself: exact enough, and bounded at any rate of calls.
_SLICES = 10


@dataclass(frozen=True, slots=True)
class Permit:
    """The leave to make one call, whose end is to be told."""

    period: int
    """Which stay in a state gave it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A call may not be made now."""

    reason: FailureReason
    """CIRCUIT_OPEN, or why the backend is left alone."""
    left_s: float
    """How long still; 0: until the call that is being made ends."""


class Circuit:
    """Three states, and beside them a time for which a backend is left alone.

    CLOSED, from the beginning: every call is let through. It opens with a failure that is
    the `failures_in_row`-th without a success in between, or that makes the failures of
    the last `window_s` at least the share `failure_rate` of at least `min_calls` calls.
    A success ends a row, and not what the window remembers.

    OPEN: no call is let through for the cooldown. Opening from CLOSED takes `cooldown_s`,
    every opening from HALF_OPEN twice the one before, up to `max_cooldown_s`. The first
    call that asks afterwards makes it half-open.

    HALF_OPEN: that call is let through, and no other while it runs. A success closes the
    circuit, with nothing remembered of what was before, and with the first cooldown
    again. A failure opens it. A call that was dropped gives its turn to the next one that
    asks: nothing is known yet.

    What was let through in one stay in a state says nothing about another: its end, when
    it comes late, changes nothing.

    Left alone (`rest_until`), in any state: no call is let through until then, and none
    of it is a failure. It is told as OPEN; afterwards the state is what it was, and
    cooldowns go on meanwhile. The refusal has the reason that was given. Of two such times
    the later one counts.

    All times are event-loop seconds, and every `now` is at least the one before.

    Args:
        failures_in_row: At least 1.
        failure_rate: Above 0, at most 1.
        window_s: How long a call is remembered for the rate.
        min_calls: Fewer in the window have no rate.
        cooldown_s: The first cooldown.
        max_cooldown_s: The longest.

    """

    def __init__(
        self,
        *,
        failures_in_row: int,
        failure_rate: float,
        window_s: float,
        min_calls: int,
        cooldown_s: float,
        max_cooldown_s: float,
    ) -> None:
        self.cooldown_s = cooldown_s
        self._failures_in_row = failures_in_row
        self._failure_rate = failure_rate
        self._window = _Window(window_s)
        self._min_calls = min_calls
        self._max_cooldown_s = max_cooldown_s

        self._state = CircuitState.CLOSED
        self._period = 0
        self._in_row = 0
        self._next_cooldown_s = cooldown_s
        self._open_until = 0.0
        self._probing = False
        self._rest_until = 0.0
        self._rest_reason = FailureReason.CIRCUIT_OPEN

    def state(self, now: float) -> CircuitState:
        """Tell whether calls are let through."""
        return CircuitState.OPEN if now < self._rest_until else self._state

    def refusal(self, now: float) -> Refused | None:
        """Say why a call would not be let through; None: it would. Asking changes nothing."""
        if now < self._rest_until:
            return Refused(self._rest_reason, self._rest_until - now)
        if self._state is CircuitState.OPEN and now < self._open_until:
            return Refused(FailureReason.CIRCUIT_OPEN, self._open_until - now)
        if self._probing:
            return Refused(FailureReason.CIRCUIT_OPEN, 0.0)
        return None

    def admit(self, now: float) -> Permit | Refused:
        """Let one call through, or say why not; the end of a call must be told."""
        refused = self.refusal(now)
        if refused:
            return refused
        if self._state is CircuitState.OPEN:
            self._enter(CircuitState.HALF_OPEN)
        self._probing = self._state is CircuitState.HALF_OPEN
        return Permit(self._period)

    def succeeded(self, permit: Permit, now: float) -> None:
        """Note that the backend answered."""
        if permit.period != self._period:
            return
        if self._state is CircuitState.HALF_OPEN:
            self._enter(CircuitState.CLOSED)
            self._next_cooldown_s = self.cooldown_s
            return
        self._in_row = 0
        self._window.add(now, failed=False)

    def failed(self, permit: Permit, now: float) -> None:
        """Note that the backend is at fault."""
        if permit.period != self._period:
            return
        if self._state is CircuitState.HALF_OPEN:
            self._open(now)
            return
        self._in_row += 1
        self._window.add(now, failed=True)
        if self._in_row >= self._failures_in_row or self._fails_often(now):
            self._open(now)

    def dropped(self, permit: Permit) -> None:
        """Note that a call ended without showing anything about the backend."""
        if permit.period == self._period:
            self._probing = False

    def rest_until(self, until: float, reason: FailureReason) -> None:
        """Let no call through until then, without blame.

        Args:
            until: In event-loop seconds; one that is over changes nothing.
            reason: What refusals are told as.

        """
        if until > self._rest_until:
            self._rest_until = until
            self._rest_reason = reason

    def _fails_often(self, now: float) -> bool:
        calls, failures = self._window.counts(now)
        return calls >= self._min_calls and failures >= self._failure_rate * calls

    def _open(self, now: float) -> None:
        self._enter(CircuitState.OPEN)
        self._open_until = now + self._next_cooldown_s
        self._next_cooldown_s = min(2 * self._next_cooldown_s, self._max_cooldown_s)

    def _enter(self, state: CircuitState) -> None:
        self._state = state
        self._period += 1
        self._in_row = 0
        self._window.clear()
        self._probing = False


class _Window:
    """Counts the calls and the failures of the last seconds."""

    def __init__(self, seconds: float) -> None:
        self._slice_s = seconds / _SLICES
        self._slices: deque[tuple[int, int, int]] = deque()
        """Which slice of time, its calls, its failures; the latest last."""

    def add(self, now: float, *, failed: bool) -> None:
        self._forget(now)
        place = int(now / self._slice_s)
        calls, failures = 0, 0
        if self._slices and self._slices[-1][0] == place:
            _, calls, failures = self._slices.pop()
        self._slices.append((place, calls + 1, failures + failed))

    def counts(self, now: float) -> tuple[int, int]:
        self._forget(now)
        calls = sum(each[1] for each in self._slices)
        return calls, sum(each[2] for each in self._slices)

    def clear(self) -> None:
        self._slices.clear()

    def _forget(self, now: float) -> None:
        first = int(now / self._slice_s) - _SLICES + 1
        while self._slices and self._slices[0][0] < first:
            self._slices.popleft()
