"""The examples, and what the README shows, over a real gateway."""

import re
import subprocess
import sys

import pytest
from conftest import HERE

README = (HERE / "README.md").read_text("utf-8")


def run(*arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_rerank_shows_the_new_order(gateway: str) -> None:
    out = run(str(HERE / "examples/rerank.py"), gateway)
    assert re.match(r"trace [0-9a-f]{32}\n1  0\.\d{3}  vector\+rerank +Restoring", out)


def test_search_shows_two_answers(gateway: str) -> None:
    out = run(str(HERE / "examples/search.py"), gateway)
    assert "4 stored\nat once\n" in out
    assert "in the end\n  1  fulltext+rerank" in out
    assert "tape" not in out


@pytest.mark.parametrize(
    "code",
    re.findall(r"```python\n(.*?)```", README, re.DOTALL),
    ids=lambda code: code[:40],
)
def test_what_the_readme_shows_runs(gateway: str, code: str) -> None:
    assert "localhost:50051" in code
    run("-c", code.replace("localhost:50051", gateway))
