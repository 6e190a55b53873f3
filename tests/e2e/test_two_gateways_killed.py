"""No call fails at a caller that does as documented, whichever gateway is killed under it.

For longer: `python -m benchmarks.soak.kills`.
"""

import pytest

from tests.e2e.killing import kill_in_turns

pytestmark = pytest.mark.real_time


async def test_callers_do_not_notice_that_one_of_two_gateways_is_killed() -> None:
    seen = await kill_in_turns(kills=4, every_s=0.0)
    assert seen.kills == 4
    assert not seen.failed
    assert not seen.untrue
    assert min(seen.answers["one"], seen.answers["two"]) >= 100
