"""Parts of limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.siblings import ALONE, Siblings


@given(limit=st.integers(0, 10_000), count=st.integers(1, 64))
def test_together_they_have_it_all_and_each_at_least_one(
    limit: int, count: int
) -> None:
    parts = [Siblings(place, count).share(limit) for place in range(count)]
    if limit == 0:
        assert parts == [0] * count
    elif limit < count:
        assert parts == [1] * count
    else:
        assert sum(parts) == limit
        assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_who_is_alone_has_it_all(limit: int) -> None:
    assert ALONE.share(limit) == limit
