"""Why a backend gave no scores.

    BackendError                                         transient  blames_backend
     ├ Unavailable      refused, reset, 5xx, loading        yes      yes (loading: no)
     ├ TimedOut         one attempt took too long           yes      if it had a fair chance
     │  └ OutOfTime     the caller's time was over          yes      if it had a fair chance
     ├ RateLimited      429, or the vendor's word for it    yes      no
     │  └ QuotaExceeded     the caller may use no more      yes      no
     ├ Overloaded       our own bound for this backend      yes      no
     │  └ TooLate       no turn within the caller's time    yes      no
     ├ CircuitOpen      it failed too often, not asked      yes      no
     ├ TooLarge         batch, length or body refused       no       no
     ├ Rejected         other 4xx                           no       no
     │  └ Unauthenticated   401, 402, 403: our key          no       no
     ├ Malformed        200 that breaks its contract        no       yes
     │  └ WrongScale    numbers that the scale cannot have  no       yes
     ├ Misconfigured    key or extra missing, not asked     no       no
     ├ Internal         a bug of ours                       no       no
     └ LedgerFailed     nothing can be written down         yes      no

QuotaExceeded and LedgerFailed are in `unpaid`. The two attributes decide everything
upstream: nobody lists classes. A third, `state`, is what the failure shows about the
backend; a fourth, `may_cost`, whether the vendor may have done the work all the same, and
want to be paid for it. A message says who, what and how much, and never quotes what a
backend answered: it may contain documents.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self


class FailureReason(StrEnum):
    """What a failure is called in the contract (`rerank.v1.FallbackReason`)."""

    TIMEOUT = "TIMEOUT"
    DEADLINE = "DEADLINE"
    UNAVAILABLE = "UNAVAILABLE"
    OVERLOADED = "OVERLOADED"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_LARGE = "TOO_LARGE"
    REJECTED = "REJECTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    MALFORMED = "MALFORMED"
    MISCONFIGURED = "MISCONFIGURED"
    INTERNAL = "INTERNAL"


class BackendState(StrEnum):
    """Whether a backend can be used (`rerank.v1.BackendState`)."""

    READY = "READY"
    LOADING = "LOADING"
    UNREACHABLE = "UNREACHABLE"
    MISCONFIGURED = "MISCONFIGURED"
    """Not until the operator acts."""
    DEGRADED = "DEGRADED"
    """It answers, but not always or not well."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one backend, or the refusal to make it."""

    backend: str
    model: str
    failure: FailureReason | None
    """None: it answered."""
    duration_s: float
    document_count: int


class BackendError(Exception):
    """A backend gave no scores.

    Args:
        backend: The configured name of the backend.
        detail: What happened and how much, in our own words.
        retry_after_s: How long the backend asked to be left alone, if it did.

    """

    reason: ClassVar[FailureReason]
    transient: bool
    """The same call may succeed a little later."""
    blames_backend: bool
    """The backend is at fault: this counts against its health."""
    state: BackendState = BackendState.DEGRADED
    """What this failure shows about the backend."""
    may_cost: bool = False
    """It was asked, and may have done what it was asked for."""
    lacks_time: ClassVar[bool] = False
    """The caller's time was too short for an answer, or for a turn."""

    def __init__(
        self, backend: str, detail: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{backend}: {detail}")
        self.backend = backend
        self.retry_after_s = retry_after_s
        self.attempts: tuple[Attempt, ...] = ()

    def add(self, attempt: Attempt) -> None:
        """Add the call that ended in this error."""
        self.attempts = (*self.attempts, attempt)

    def twin(self) -> Self:
        """Give an equal error to somebody else, who may add attempts of his own.

        `copy.copy` would call the constructor with the message alone.
        """
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class Unavailable(BackendError):
    """Refused, reset, lost in the middle, or an answer of 5xx."""

    reason = FailureReason.UNAVAILABLE
    transient = True
    blames_backend = True
    state = BackendState.UNREACHABLE

    def __init__(
        self,
        backend: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        loading: bool = False,
        permanent: bool = False,
        lost: bool = False,
    ) -> None:
        super().__init__(backend, detail, retry_after_s=retry_after_s)
        self.may_cost = lost
        self.transient = not permanent
        self.blames_backend = not loading
        if loading:
            self.state = BackendState.LOADING
        elif permanent:
            self.state = BackendState.MISCONFIGURED


class TimedOut(BackendError):
    """One attempt did not answer within the backend's own limit."""

    reason = FailureReason.TIMEOUT
    transient = True
    state = BackendState.UNREACHABLE

    def __init__(self, backend: str, after_s: float, *, had_fair_chance: bool) -> None:
        super().__init__(backend, f"no answer in {after_s:.2f} s")
        self.may_cost = after_s > 0
        self.blames_backend = had_fair_chance


class OutOfTime(TimedOut):
    """The time that the caller gave was over before the backend's own limit."""

    reason = FailureReason.DEADLINE
    lacks_time = True


class RateLimited(BackendError):
    """The vendor counts calls, and we made too many."""

    reason = FailureReason.RATE_LIMITED
    transient = True
    blames_backend = False


class Overloaded(BackendError):
    """Our own bound for this backend is reached: it was not asked."""

    reason = FailureReason.OVERLOADED
    transient = True
    blames_backend = False


class TooLate(Overloaded):
    """Its turn did not, or would not, come within the caller's time: it was not asked."""

    lacks_time = True


class CircuitOpen(BackendError):
    """The backend failed too often lately, or asked to be left alone: it was not asked."""

    reason = FailureReason.CIRCUIT_OPEN
    transient = True
    blames_backend = False
    state = BackendState.UNREACHABLE


class Excess(StrEnum):
    """What there was too much of."""

    DOCUMENTS = "documents"
    """In one call: splitting helps."""
    TOKENS = "tokens"
    """In one pair of query and document: shortening helps."""
    BYTES = "bytes"
    """In one body: splitting helps, unless it is a single document."""


class TooLarge(BackendError):
    """The backend refused a batch, a text or a body for its size.

    Args:
        backend: The configured name of the backend.
        excess: What there was too much of.
        given: How much we sent, in units of `excess`, if the backend says so.
        limit: How much it takes, likewise.

    """

    reason = FailureReason.TOO_LARGE
    transient = False
    blames_backend = False

    def __init__(
        self,
        backend: str,
        excess: Excess,
        *,
        given: int | None = None,
        limit: int | None = None,
    ) -> None:
        numbers = f" ({given} of at most {limit})" if given and limit else ""
        super().__init__(backend, f"too many {excess} in one call{numbers}")
        self.excess = excess
        self.given = given
        self.limit = limit


class Rejected(BackendError):
    """The backend will not serve this request, nor the same one later."""

    reason = FailureReason.REJECTED
    transient = False
    blames_backend = False


class Unauthenticated(Rejected):
    """Our key is missing, wrong, or not paid for."""

    reason = FailureReason.UNAUTHENTICATED
    state = BackendState.MISCONFIGURED


class Malformed(BackendError):
    """The backend answered with success and broke its contract."""

    reason = FailureReason.MALFORMED
    transient = False
    blames_backend = True
    may_cost = True


class WrongScale(Malformed):
    """The numbers cannot be of the scale that is configured."""

    state = BackendState.MISCONFIGURED


class Misconfigured(BackendError):
    """The backend cannot be asked at all: a key or an extra is missing here."""

    reason = FailureReason.MISCONFIGURED
    transient = False
    blames_backend = False
    state = BackendState.MISCONFIGURED


class Internal(BackendError):
    """A bug of ours."""

    reason = FailureReason.INTERNAL
    transient = False
    blames_backend = False
    may_cost = True
