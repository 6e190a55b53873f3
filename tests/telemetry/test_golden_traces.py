"""Every kind of call and the trace that it leaves, down to the last attribute.

`UPDATE_GOLDEN=1` writes the files anew; what changed in them is what operators will see.
"""

import pytest

from tests.telemetry.golden import FOLDER, matches
from tests.telemetry.scenarios import SCENARIOS, told

pytestmark = pytest.mark.real_time

# What it is about is not its contents.
_NOT_WRITTEN = {"a_thousand_candidates"}
GOLDEN = [name for name in SCENARIOS if name not in _NOT_WRITTEN]


@pytest.mark.parametrize("name", GOLDEN)
async def test_it_is_told_as_ever(name: str) -> None:
    matches(name, await told(name))


def test_every_golden_file_has_a_scenario() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(GOLDEN)
