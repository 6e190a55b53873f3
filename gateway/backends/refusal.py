"""What an answer other than success means, where its vendor adds nothing to its status."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from gateway.backends.dialect import Refusal
from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

_OUR_KEY = {401, 402, 403}
_TRY_AGAIN = {408, 409, 425}
_WRONG_PLACE = {404, 405, 415}
_PERMANENT = {501, 505}
_DAY_S = 86_400.0


def by_status(refusal: Refusal) -> BackendError:
    """Classify an answer by its status alone."""
    status, backend = refusal.status, refusal.backend
    said = f"HTTP {status}"
    wait_s = retry_after_s(refusal.headers)
    if status in _OUR_KEY:
        return Unauthenticated(backend, said)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(backend, Excess.BYTES)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(backend, said, retry_after_s=wait_s)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(
            backend, said, retry_after_s=wait_s, permanent=status in _PERMANENT
        )
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Malformed(backend, f"{said} instead of 200")
    rejected = Rejected(backend, said, retry_after_s=wait_s)
    rejected.transient = status in _TRY_AGAIN
    if status in _WRONG_PLACE:
        rejected.state = BackendState.MISCONFIGURED
    return rejected


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read how long to stay away, in seconds; None where nothing readable is said.

    At most a day: what says more is broken, and would not fit a caller's answer. A date
    is taken relative to the answer's own `Date`, so no clock of ours matters.
    """
    if (milliseconds := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return min(milliseconds / 1000, _DAY_S)
    said = headers.get("retry-after", "")
    if (seconds := _seconds(said)) is not None:
        return min(seconds, _DAY_S)
    until, now = _date(said), _date(headers.get("date", ""))
    if until is None or now is None:
        return None
    return min(max((until - now).total_seconds(), 0.0), _DAY_S)


def _seconds(said: str) -> float | None:
    return float(said) if said.isascii() and said.isdigit() else None


def _date(said: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    # HTTP dates are in UTC, also where they do not say so.
    return date if date.tzinfo else date.replace(tzinfo=UTC)
