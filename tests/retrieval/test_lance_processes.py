"""Several real processes over one store, at once."""

from pathlib import Path

import pytest

from benchmarks.retrieval.processes import READERS, run

pytestmark = pytest.mark.real_time


def test_one_process_writes_and_three_read_at_once(tmp_path: Path) -> None:
    """`python -m benchmarks.retrieval.processes` does the same for a minute."""
    writer, *readers = run(tmp_path / "store", seconds=6.0)
    assert len(readers) == READERS
    for each in (writer, *readers):
        assert each.is_well, each
    assert writer.writes > 10
    assert all(each.searches > 20 and each.writes for each in readers), readers
