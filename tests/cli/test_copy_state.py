"""What has been copied is remembered for two collections, and for these alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.copy_state import Copied
from rerank.v1 import collection_pb2, document_pb2


def collection(name: str, *, seconds: int) -> collection_pb2.Collection:
    made = collection_pb2.Collection(name=name)
    made.create_time.seconds = seconds
    return made


def document(name: str, text: str = "x") -> document_pb2.Document:
    made = document_pb2.Document(id=name, text=text)
    made.metadata.update({"b": 1, "a": [name]})
    return made


SOURCE, TARGET = collection("papers", seconds=1), collection("papers", seconds=2)
NAMES = ["a", "b\0", "b", "é", ""]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


@contextmanager
def opened(
    environ: dict[str, str],
    *,
    target: collection_pb2.Collection = TARGET,
    how: str = "vectors",
) -> Iterator[Copied]:
    with Copied.between(SOURCE, target, how=how, environ=environ) as copied:
        copied.begin()
        yield copied


def test_what_was_added_is_known_in_a_later_run(environ: dict[str, str]) -> None:
    with opened(environ) as copied:
        assert copied.changed([*map(document, NAMES)]) == [*map(document, NAMES)]
        copied.add(map(document, NAMES))
    with opened(environ) as copied:
        assert copied.changed([*map(document, NAMES)]) == []
        assert copied.changed([document("a", "y"), document("c")]) == [
            document("a", "y"),
            document("c"),
        ]


def test_what_was_not_seen_is_gone(environ: dict[str, str]) -> None:
    with opened(environ) as copied:
        copied.add(map(document, NAMES))
        assert copied.gone(10) == []
        copied.begin()
        copied.changed([document("a")])
        copied.seen(["b"])
        copied.add([document("é", "new")])
        assert set(copied.gone(10)) == {"", "b\0"}
        assert len(copied.gone(1)) == 1
        copied.forget(copied.gone(10))
        assert copied.gone(10) == []
        assert copied.changed([document("b\0")]) == [document("b\0")]


def test_others_know_nothing_of_it(environ: dict[str, str]) -> None:
    with opened(environ) as copied:
        copied.add([document("a")])
    anew = collection("papers", seconds=3)
    for known in (opened(environ, target=anew), opened(environ, how="texts")):
        with known as copied:
            assert copied.changed([document("a")]) == [document("a")]
