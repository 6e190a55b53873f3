"""All tenants: whose limits are which, and what each has under way."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.tenants.bucket import Bucket
from gateway.tenants.limits import ANONYMOUS, DEFAULT, UNLIMITED, Limits, Rate

# Beyond, those that have nothing under way are forgotten: there is no end of tenants where
# somebody else names them.
_MOST_KNOWN = 10_000

# How soon a call has ended is not known; somebody who comes again is not refused for long.
_SOON_S = 1.0


@dataclass(frozen=True, slots=True)
class Over:
    """What a tenant has too much of."""

    quota: str
    """As it is called in the configuration."""
    limit: str
    again_s: float
    """When there will be more."""


class Tenants:
    """Lets requests through, or says of what there are too many.

    Args:
        limits: By tenant, and those of `default` and `anonymous`; of one process.

    """

    def __init__(self, limits: Mapping[str, Limits]) -> None:
        self._states: dict[str, State] = {}
        self.limit(limits)

    def limit(self, limits: Mapping[str, Limits]) -> None:
        """Have other limits hold from now on.

        What is under way counts on, and a rate that is the same is used up as far as it was.
        """
        self._limits = limits
        self._others = limits.get(DEFAULT, UNLIMITED)
        self._anonymous = limits.get(ANONYMOUS, UNLIMITED)
        for tenant, state in self._states.items():
            state.limit(self.limits(tenant))

    def limits(self, tenant: str) -> Limits:
        """Give the limits of a tenant; an empty name is anybody's."""
        if not tenant:
            return self._anonymous
        return self._limits.get(tenant, self._others)

    def shown(self, tenant: str) -> str:
        """Name a tenant where there may only be so many names: as the configuration does."""
        if not tenant:
            return ANONYMOUS
        return tenant if tenant in self._limits else DEFAULT

    def over(
        self,
        tenant: str,
        *,
        now: float,
        requests: int = 1,
        documents: int = 0,
        running: bool = True,
    ) -> Over | None:
        """Tell of what a request would be too much; None: of nothing.

        Args:
            tenant: Whose it is.
            now: In seconds, of a clock that never goes back.
            requests: How many it counts as; 0 where it was counted before.
            documents: How many it brings to be reranked.
            running: Whether it is one more at once.

        """
        limits = self.limits(tenant)
        if limits is UNLIMITED:
            return None
        state = self._state(tenant, limits, now)
        for name, bucket, rate, amount in (
            ("requests_per_s", state.requests, limits.requests, requests),
            ("documents_per_s", state.documents, limits.documents, documents),
        ):
            if amount and bucket and rate and (wait_s := bucket.wait_s(amount, now)):
                return Over(name, f"{rate.per_s:g}", wait_s)
        at_once = limits.at_once
        if running and at_once is not None and state.running >= at_once:
            return Over("max_concurrent_calls", str(at_once), _SOON_S)
        return None

    def begin(
        self,
        tenant: str,
        *,
        now: float,
        requests: int = 1,
        documents: int = 0,
        running: bool = True,
    ) -> "State | None":
        """Let a request through, and give what `end` must be told; see `over`."""
        limits = self.limits(tenant)
        if limits is UNLIMITED:
            return None
        state = self._state(tenant, limits, now)
        if state.requests:
            state.requests.take(requests, now)
        if state.documents:
            state.documents.take(documents, now)
        if not running:
            return None
        state.running += 1
        return state

    def end(self, begun: "State | None") -> None:
        """Note that a request is over, whatever its tenant's limits are by now."""
        if begun:
            begun.running -= 1

    def _state(self, tenant: str, limits: Limits, now: float) -> "State":
        state = self._states.get(tenant)
        if state is None:
            if len(self._states) >= _MOST_KNOWN:
                self._forget(now)
            state = self._states[tenant] = State()
            state.limit(limits)
        return state

    def _forget(self, now: float) -> None:
        self._states = {
            name: state for name, state in self._states.items() if not state.idle(now)
        }


@dataclass(slots=True)
class State:
    """What one tenant has under way, and has left."""

    limits: Limits = UNLIMITED
    requests: Bucket | None = None
    documents: Bucket | None = None
    running: int = 0

    def limit(self, limits: Limits) -> None:
        """Have other limits, with full buckets for the rates that differ."""
        if limits.requests != self.limits.requests:
            self.requests = _bucket(limits.requests)
        if limits.documents != self.limits.documents:
            self.documents = _bucket(limits.documents)
        self.limits = limits

    def idle(self, now: float) -> bool:
        """Tell whether nothing would change if it were not there."""
        buckets = (self.requests, self.documents)
        return not self.running and all(
            not each or each.is_full(now) for each in buckets
        )


def _bucket(rate: Rate | None) -> Bucket | None:
    return Bucket(per_s=rate.per_s, burst=rate.burst) if rate else None
