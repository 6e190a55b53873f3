"""The image: what its Containerfile says. `make image-check` builds and runs it."""

import re
import tomllib
from pathlib import PurePosixPath

import pytest
import yaml

from deploy.container.containerfile import (
    Copy,
    NotUnderstood,
    copied,
    expanded,
    is_ignored,
    pairs,
    stages,
    words,
)
from tests.deploy.places import DEPLOY, ROOT

CONTAINER = DEPLOY / "container"
STAGES = stages((CONTAINER / "Containerfile").read_text())
FINAL = STAGES[-1]
IGNORE = (CONTAINER / "Containerfile.dockerignore").read_text()
CHART = yaml.safe_load((DEPLOY / "helm/rerank-gateway/Chart.yaml").read_text())


def pins(path: str) -> dict[str, set[str]]:
    """Read a file of requirements: each with its version, and its hashes."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / path).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            last = found.setdefault(line.removesuffix(" \\"), set())
        elif "--hash=" in line:
            last.add(line.strip().removesuffix(" \\"))
    return found


# What is in it


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_it_installs_what_is_tested_here_to_the_byte(name: str) -> None:
    tested = pins("requirements.txt")
    for each, hashes in pins(f"deploy/container/{name}").items():
        same = each.partition(" ;")[0]
        (known,) = (
            tested[other] for other in tested if other.partition(" ;")[0] == same
        )
        assert hashes == known, each


@pytest.mark.parametrize(
    "extra",
    ["certificates", "embedded", "jwt", "local", "qdrant", "shared", "weaviate"],
)
def test_it_has_what_each_extra_needs(extra: str) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {
        each.partition("==")[0].partition("[")[0]
        for each in pins("deploy/container/requirements.txt")
    }
    wanted = {
        re.split(r"[^A-Za-z0-9-]", each)[0]
        for each in declared["optional-dependencies"][extra]
    }
    assert wanted
    assert wanted <= installed


def test_nothing_is_installed_without_its_hash() -> None:
    for stage in STAGES:
        for run in stage.all("RUN"):
            for install in re.split(r"&&", run):
                if re.search(r"\bpip\b.*\b(install|wheel)\b", install):
                    assert "--require-hashes" in install or "--no-index" in install


def test_the_last_stage_installs_nothing() -> None:
    assert FINAL.all("RUN")
    for run in FINAL.all("RUN"):
        assert not re.search(r"\b(apt|apt-get|pip install|curl|wget)\b", run)


def test_its_stages_have_one_base_whose_version_is_said() -> None:
    (base,) = {stage.base for stage in STAGES}
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+", base)


def test_what_it_copies_is_there_and_is_not_ignored() -> None:
    for stage in STAGES:
        for copy in map(copied, stage.all("COPY")):
            if copy.stage:
                assert copy.stage in {each.name for each in STAGES}
                continue
            for source in copy.sources:
                assert (ROOT / source).exists()
                assert not is_ignored(PurePosixPath(source), IGNORE)


@pytest.mark.parametrize(
    "path", [".git/config", ".venv/bin/python", "tests/conftest.py", "build/x", ".env"]
)
def test_it_is_given_nothing_else(path: str) -> None:
    assert is_ignored(PurePosixPath(path), IGNORE)


# How it runs


def test_its_user_is_a_number_and_not_root() -> None:
    assert FINAL.last("USER") == "10001:10001"
    # And stays: nothing after it changes the image.
    after = FINAL.instructions[
        [each.name for each in FINAL.instructions].index("USER") :
    ]
    assert not {"RUN", "COPY", "USER"} & {each.name for each in after[1:]}


def test_its_ports_are_those_that_it_listens_on() -> None:
    environment = pairs(FINAL.last("ENV"), {})
    listened = {
        environment[f"RERANK_GATEWAY__{name}"].rpartition(":")[2]
        for name in ("SERVER__ADDRESS", "TELEMETRY__METRICS_ADDRESS")
    }
    assert set(FINAL.last("EXPOSE").split()) == listened


def test_what_it_keeps_is_in_its_volume() -> None:
    environment = pairs(FINAL.last("ENV"), {})
    volume = FINAL.last("VOLUME")
    assert f"{environment['XDG_DATA_HOME']}/rerank-gateway" == volume
    assert environment["HF_HOME"].startswith(f"{volume}/")
    assert environment["HOME"] == volume == FINAL.last("WORKDIR")


def test_no_shell_stands_before_its_commands() -> None:
    """A shell would keep SIGTERM for itself."""
    assert words(FINAL.last("ENTRYPOINT")) == ["rerank-gateway"]
    assert words(FINAL.last("CMD")) == ["serve"]
    assert words(FINAL.last("HEALTHCHECK").partition(" CMD ")[2]) == [
        *("rerank-gateway", "health")
    ]
    assert FINAL.last("STOPSIGNAL") == "SIGTERM"


def test_its_version_is_that_of_the_product_and_of_the_chart() -> None:
    (version,) = re.findall(
        r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"VERSION={version}" in FINAL.all("ARG")
    assert CHART["appVersion"] == version


# The reader


def test_lines_are_joined_and_variables_put_in() -> None:
    (stage,) = stages("ARG A=b:1\nFROM ${A} AS x\nRUN one \\\n    # why\n    && two\n")
    assert (stage.base, stage.name) == ("b:1", "x")
    assert [each.split() for each in stage.all("RUN")] == [["one", "&&", "two"]]


@pytest.mark.parametrize(
    "text", ["FROM a\nADD b c", "RUN x\nFROM a", "FROM a\nSHELL x"]
)
def test_what_it_does_not_know_is_no_secret(text: str) -> None:
    with pytest.raises(NotUnderstood):
        stages(text)


def test_an_instruction_that_there_is_not() -> None:
    with pytest.raises(NotUnderstood):
        stages("FROM a")[0].last("USER")


def test_environments_are_read_as_a_shell_would() -> None:
    assert pairs('A=1 B="2 3" C=$A/x', {"A": "z"}) == {
        "A": "1",
        "B": "2 3",
        "C": "z/x",
    }
    assert expanded("$A${B}$C", {"A": "1", "B": "2"}) == "12"


def test_copies_say_where_from() -> None:
    assert copied("--from=b /x /y") == Copy(("/x",), "/y", "b")
    with pytest.raises(NotUnderstood):
        copied("--chown=a b c")


def test_words_are_not_for_a_shell() -> None:
    assert words('["a", "b c"]') == ["a", "b c"]
    with pytest.raises(NotUnderstood):
        words("a b")


def test_the_last_line_that_fits_decides_what_is_ignored() -> None:
    ignore = "*\n!gateway\n**/__pycache__\n"
    assert is_ignored(PurePosixPath("x/gateway"), ignore)
    assert not is_ignored(PurePosixPath("gateway/cli/health.py"), ignore)
    assert is_ignored(PurePosixPath("gateway/cli/__pycache__/health.pyc"), ignore)
