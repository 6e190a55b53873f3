"""How far an import has come is remembered for one file and one collection."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.import_state import Progress, Remembered, source_of

_SOME = Progress(lines=512, accepted=510, rejected=2)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.jsonl"
    file.write_text("{}\n" * 1000)
    return file


def test_nothing_is_remembered_at_first(file: Path, environ: dict[str, str]) -> None:
    source = source_of(str(file), "papers", create_time_ns=1)

    assert Remembered(source, environ=environ).load() == Progress()


def test_what_was_saved_last_is_remembered(
    file: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(str(file), "papers", create_time_ns=1)
    Remembered(source, environ=environ).save(Progress(lines=256, accepted=256))
    Remembered(source, environ=environ).save(_SOME)
    monkeypatch.chdir(file.parent)

    again = source_of("corpus.jsonl", "papers", create_time_ns=1)

    assert Remembered(again, environ=environ).load() == _SOME


def test_another_collection_is_another_import(
    file: Path, environ: dict[str, str]
) -> None:
    source = source_of(str(file), "papers", create_time_ns=1)
    Remembered(source, environ=environ).save(_SOME)

    for other in (
        replace(source, collection="books"),
        replace(source, create_time_ns=2),
    ):
        assert Remembered(other, environ=environ).load() == Progress()
    assert Remembered(source, environ=environ).load() == _SOME


def test_a_file_that_changed_is_another_import(
    file: Path, environ: dict[str, str]
) -> None:
    source = source_of(str(file), "papers", create_time_ns=1)
    Remembered(source, environ=environ).save(_SOME)

    with file.open("a") as more:
        more.write("{}\n")
    changed = source_of(str(file), "papers", create_time_ns=1)

    assert Remembered(changed, environ=environ).load() == Progress()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source": 1}', "null"])
def test_what_cannot_be_read_is_not_remembered(
    file: Path, environ: dict[str, str], content: str
) -> None:
    source = source_of(str(file), "papers", create_time_ns=1)
    remembered = Remembered(source, environ=environ)
    remembered.save(_SOME)
    (state,) = Path(environ["XDG_STATE_HOME"]).rglob("*.json")
    state.write_text(content)

    assert remembered.load() == Progress()
