"""What others wrote is printed as they wrote it, in every table."""

import pytest
from rich.text import Text

from gateway.cli.console import literal_console
from gateway.cli.search_tables import show_collections, show_search
from gateway.cli.tables import moved, show_backends, show_rerank
from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    collection_pb2,
    document_pb2,
    execution_pb2,
    ranking_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

ODD = "x[/red][local]:key:[bold]"
"""To rich: the end of a colour that never began, two colours, and a picture of a key."""


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def execution() -> execution_pb2.Execution:
    return execution_pb2.Execution(
        outcome=execution_pb2.OUTCOME_RERANKED,
        backend=ODD,
        model=ODD,
        scored_count=1,
        stages=[
            execution_pb2.Stage(
                name="vector", outcome=execution_pb2.STAGE_OUTCOME_FAILED, detail=ODD
            )
        ],
    )


def result() -> ranking_pb2.RankedDocument:
    return ranking_pb2.RankedDocument(
        id=ODD,
        rank=1,
        original_rank=3,
        search_method=ODD,
        document=document_pb2.Document(id=ODD, text=ODD),
    )


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    literal_console().print(ODD)
    literal_console(stderr=True).print(ODD)
    printed = capsys.readouterr()
    assert printed.out == printed.err == f"{ODD}\n"


def test_a_backend_may_name_itself_and_its_model_as_it_likes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    backend = backend_pb2.Backend(name=ODD, dialect=ODD)
    found = backend_service_pb2.CheckBackendResponse(model=ODD, message=ODD)
    show_backends(literal_console(), [(backend, found)])
    assert capsys.readouterr().out.count(ODD) == 4


def test_so_may_the_documents_of_a_rerank(capsys: pytest.CaptureFixture[str]) -> None:
    request = rerank_service_pb2.RerankRequest(
        documents=[document_pb2.Document(text=ODD)]
    )
    response = rerank_service_pb2.RerankResponse(
        results=[result()], message=ODD, execution=execution()
    )
    show_rerank(literal_console(), request, response)
    assert capsys.readouterr().out.count(ODD) == 5


def test_so_may_those_of_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    response = search_service_pb2.SearchResponse(
        results=[result()], message=ODD, execution=execution()
    )
    show_search(literal_console(), response)
    # An id has only so much room.
    printed = capsys.readouterr().out
    assert printed.count(ODD) == 6
    assert printed.count(ODD[:23]) == 7


def test_so_may_collections_and_their_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    collection = collection_pb2.Collection(
        name=ODD, fields=[collection_pb2.CollectionField(name=ODD)]
    )
    show_collections(literal_console(), [collection])
    assert capsys.readouterr().out.count(ODD) == 2


@pytest.mark.parametrize(
    ("original_rank", "rank", "said", "style"),
    [(3, 1, "3 ↑2", "green"), (1, 4, "1 ↓3", "red"), (2, 2, "2", "")],
)
def test_who_rose_is_green_and_who_fell_is_red(
    original_rank: int, rank: int, said: str, style: str
) -> None:
    told = moved(ranking_pb2.RankedDocument(original_rank=original_rank, rank=rank))
    assert isinstance(told, Text)
    assert told.plain == said
    assert "".join(str(span.style) for span in told.spans) == style
