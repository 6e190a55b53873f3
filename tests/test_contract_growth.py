"""The contract may grow, and nothing else: what the check lets through, and what it does not.

Each change is made to a copy of the contract, and what `make proto-check` runs is run on it.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_BUF = Path(sys.executable).parent / "buf"
_SERVICE = "rerank_service.proto"


def _arguments() -> list[str]:
    """Find in the Makefile how buf is asked."""
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^proto-check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    (arguments,) = re.findall(r"\$\(BIN\)/buf (breaking .*)", recipe)
    return str(arguments).split()


def _check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own tool
        [_BUF, *_arguments()], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """Give a copy of what the check reads."""
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    target = tmp_path / "protos" / "rerank" / "v1"
    target.mkdir(parents=True)
    for source in (ROOT / "protos" / "rerank" / "v1").glob("*.proto"):
        shutil.copy(source, target)
    shutil.copy(ROOT / "protos" / "base.binpb", tmp_path / "protos")
    return tmp_path


def _change(contract: Path, file: str, old: str, new: str) -> None:
    path = contract / "protos" / "rerank" / "v1" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new))


def test_the_contract_as_it_is_breaks_nobody(contract: Path) -> None:
    checked = _check(contract)
    assert not checked.returncode, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(
            _SERVICE, "string query = 1;", "string question = 1;", id="a field renamed"
        ),
        pytest.param(
            _SERVICE,
            "string query = 1;",
            'string query = 1 [json_name = "q"];',
            id="another name in JSON",
        ),
        pytest.param(
            _SERVICE, "string query = 1;", "string query = 99;", id="a field renumbered"
        ),
        pytest.param(_SERVICE, "  string query = 1;\n", "", id="a field removed"),
        pytest.param(
            _SERVICE,
            "  string query = 1;\n",
            '  reserved 1;\n  reserved "query";\n',
            id="a field removed, and reserved",
        ),
        pytest.param(
            _SERVICE, "int32 top_n = 6;", "int64 top_n = 6;", id="another type"
        ),
        pytest.param(
            _SERVICE,
            "optional int32 top_k = 5;",
            "int32 top_k = 5;",
            id="unset is 0 now",
        ),
        pytest.param(
            _SERVICE,
            "repeated Document documents = 2;",
            "Document documents = 2;",
            id="one instead of many",
        ),
        pytest.param(
            "options.proto",
            "  FAILURE_POLICY_FAIL = 2;\n",
            "",
            id="a value of an enum removed",
        ),
        pytest.param(
            "options.proto",
            "FAILURE_POLICY_FAIL = 2;",
            "FAILURE_POLICY_RAISE = 2;",
            id="a value of an enum renamed",
        ),
        pytest.param(
            _SERVICE,
            "rpc Rerank(RerankRequest)",
            "rpc Order(RerankRequest)",
            id="an RPC renamed",
        ),
        pytest.param(
            _SERVICE,
            "rpc RerankBatch(stream RerankBatchRequest)",
            "rpc RerankBatch(RerankBatchRequest)",
            id="no stream any more",
        ),
        pytest.param(
            _SERVICE,
            "service RerankService {",
            "service OrderService {",
            id="a service renamed",
        ),
        pytest.param(
            _SERVICE,
            "option java_multiple_files = true;\n",
            "",
            id="other Java classes",
        ),
    ],
)
def test_what_breaks_a_caller_is_refused(
    contract: Path, file: str, old: str, new: str
) -> None:
    _change(contract, file, old, new)
    checked = _check(contract)
    assert checked.returncode == 100, checked.stdout + checked.stderr
    assert file in checked.stdout


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(
            _SERVICE,
            "  string query = 1;\n",
            "  string query = 1;\n  // New.\n  string dialect = 1000;\n",
            id="a field",
        ),
        pytest.param(
            "options.proto",
            "  FAILURE_POLICY_FAIL = 2;\n",
            "  FAILURE_POLICY_FAIL = 2;\n  // New.\n  FAILURE_POLICY_ASK = 3;\n",
            id="a value of an enum",
        ),
        pytest.param(
            _SERVICE,
            "service RerankService {\n",
            "service RerankService {\n  // New.\n"
            "  rpc Explain(RerankRequest) returns (RerankResponse);\n",
            id="an RPC",
        ),
        pytest.param(
            _SERVICE,
            "  string query = 1;\n",
            "  string query = 1 [deprecated = true];\n",
            id="a field is deprecated",
        ),
        pytest.param(
            _SERVICE,
            "message RerankBatchRequest {\n",
            "message RerankBatchRequest {\n  reserved 7;\n",
            id="a number that never was is reserved",
        ),
    ],
)
def test_growth_is_let_through(contract: Path, file: str, old: str, new: str) -> None:
    _change(contract, file, old, new)
    checked = _check(contract)
    assert not checked.returncode, checked.stdout + checked.stderr


def test_a_message_that_goes_is_refused(contract: Path) -> None:
    path = contract / "protos" / "rerank" / "v1" / _SERVICE
    text = path.read_text()
    # Without the field that uses it, so that all else still compiles.
    text = text.replace("  repeated FieldViolation violations = 5;\n", "")
    text, removed = re.subn(
        r"message FieldViolation \{.*?\n\}\n", "", text, flags=re.DOTALL
    )
    assert removed == 1
    path.write_text(text)
    checked = _check(contract)
    assert checked.returncode == 100
    assert "FieldViolation" in checked.stdout
