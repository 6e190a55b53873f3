"""End a call to a backend at its own limit, or when the caller's time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.backends.errors import OutOfTime, TimedOut

T = TypeVar("T")

# Less would open a connection only to close it.
_WORTH_ASKING_S = 0.005

# Of the backend's own limit: who had so much of it has had it.
_AS_GOOD_AS = 0.99


async def in_time(
    call: Callable[[], Awaitable[T]],
    *,
    deadline: float,
    backend: str,
    attempt_s: float,
    fair_s: float,
) -> T:
    """Make a call and give its answer.

    Args:
        call: Begins it; not called where no time is left.
        deadline: When the caller's time is over, in event-loop seconds.
        backend: Its name, for errors.
        attempt_s: The backend's own limit for one attempt.
        fair_s: An attempt that was ended sooner than this blames nobody.

    Raises:
        TimedOut: The backend's own limit ended it.
        OutOfTime: The caller's deadline did.

    """
    left_s = deadline - asyncio.get_running_loop().time()
    if left_s < _WORTH_ASKING_S:
        raise OutOfTime(backend, 0.0, had_fair_chance=False)
    limit_s = min(attempt_s, left_s)
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            return await call()
    except TimeoutError as error:
        if not scope.expired():
            raise
        # Thirty seconds shared by three backends are a little under ten for each.
        own_limit = limit_s >= attempt_s * _AS_GOOD_AS
        kind = TimedOut if own_limit else OutOfTime
        # Whoever sets the backend's own limit says what is fair.
        fair = own_limit or limit_s >= fair_s
        raise kind(backend, limit_s, had_fair_chance=fair) from error
