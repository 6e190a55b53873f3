"""A gateway stays as it is among vendors that fail at random: for two minutes here.

For as long as anybody likes: `python -m benchmarks.soak --minutes 20`.
"""

import pytest

from benchmarks.soak.process import HAS_PROC
from benchmarks.soak.soak import soak

pytestmark = pytest.mark.real_time


@pytest.mark.skipif(not HAS_PROC, reason="only Linux tells what a process holds")
async def test_nothing_grows_nothing_is_late_and_every_answer_is_true() -> None:
    soaked = await soak(warm_up_s=30, for_s=80, watch=lambda *_: None)
    assert not soaked.complaints
    # All of it happened, or nothing was shown.
    assert {"RERANKED", "FELL_BACK"} <= set(soaked.seen.outcomes)
    assert soaked.seen.answers > 1000
    assert soaked.seen.left
