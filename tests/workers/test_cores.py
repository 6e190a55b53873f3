"""How many workers there are where nobody says."""

import os
from pathlib import Path

import pytest

from gateway.workers import cores

_GIB = 1024**3


@pytest.fixture(autouse=True)
def eight_cores_and_memory_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    sizes = {"SC_PHYS_PAGES": 16 * _GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.parametrize(
    ("cpu", "memory", "workers"),
    [
        ("", "", 8),
        ("max 100000\n", "max\n", 8),
        ("250000 100000\n", "max\n", 2),
        ("50000 100000\n", "max\n", 1),
        ("1600000 100000\n", "max\n", 8),
        ("max 100000\n", f"{2 * _GIB}\n", 4),
        ("max 100000\n", f"{_GIB // 4}\n", 1),
    ],
)
def test_there_is_one_for_each_core_that_may_be_used(
    tmp_path: Path, cpu: str, memory: str, workers: int
) -> None:
    for name, said in (("cpu.max", cpu), ("memory.max", memory)):
        if said:
            (tmp_path / name).write_text(said)
    assert cores.workers_by_default(tmp_path) == workers


def test_there_is_one_where_connections_are_not_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert cores.workers_by_default(tmp_path) == 1
