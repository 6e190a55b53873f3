"""Why a backend gave no scores."""

from collections.abc import Callable

import pytest

from gateway.backends.errors import (
    Attempt,
    BackendError,
    Excess,
    Malformed,
    OutOfTime,
    RateLimited,
    TooLarge,
    Unavailable,
)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Unavailable("tei", "loading", retry_after_s=2.0, loading=True),
        lambda: OutOfTime("tei", 1.5, had_fair_chance=True),
        lambda: RateLimited("tei", "HTTP 429", retry_after_s=3.0),
        lambda: TooLarge("tei", Excess.DOCUMENTS, given=9, limit=8),
        lambda: Malformed("tei", "no scores"),
    ],
)
def test_a_twin_is_equal_and_goes_its_own_way(make: Callable[[], BackendError]) -> None:
    error = make()
    error.add(Attempt("tei", "m", error.reason, 1.0, 3))
    twin = error.twin()
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
    twin.add(Attempt("tei", "m", None, 1.0, 3))
    twin.transient = not error.transient
    assert len(error.attempts) == 1
    assert error.transient is make().transient
