"""What is installed, and with how little it works."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import HERE, ROOT


def test_the_service_configuration_is_that_of_all_clients() -> None:
    """`./generate` was run after the last change of it."""
    ours = HERE / "rerank_client/service_config.json"
    assert ours.read_text() == (ROOT / "clients/service_config.json").read_text()


def test_the_wheel_has_code_types_configuration_and_licence(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-t",
            "wheel",
            "-d",
            str(tmp_path),
        ],
        cwd=HERE,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "py.typed",
        "service_config.json",
        "langchain.py",
        "_gen/rerank/v1/rerank_service_pb2.py",
        "_gen/rerank/v1/rerank_service_pb2.pyi",
    ):
        assert f"rerank_client/{name}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"rerank_client"}


WITHOUT_EXTRAS = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from rerank_client import RerankClient
from rerank_client.trace_context import trace_context
assert trace_context() == dict()
with RerankClient("localhost:1") as client:
    try:
        client.rerank("q", ["a"], timeout_s=0.01)
    except TimeoutError:
        print("asked")
"""


def test_it_works_without_its_extras() -> None:
    absent = {"opentelemetry", "langchain_core", "llama_index", "haystack", "pydantic"}
    code = WITHOUT_EXTRAS.replace("{absent}", repr(absent))
    finished = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert finished.stdout == "asked\n", finished.stderr


@pytest.mark.parametrize(
    "module", ["rerank_client.langchain", "rerank_client.llama_index"]
)
def test_the_core_imports_no_framework(module: str) -> None:
    code = f"import rerank_client, sys; assert {module!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
