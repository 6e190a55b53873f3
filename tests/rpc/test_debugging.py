"""How an answer came about, in words."""

import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.rpc.debugging import asks_for_debug, debug_words
from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    execution_pb2,
    ranking_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

CANARY = "canary-4711"
METHOD = "rrf_hybrid+rerank"
_O = execution_pb2.Outcome
_R = execution_pb2.FallbackReason


def lasting(milliseconds: int) -> Duration:
    return Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def attempt(
    backend: str,
    milliseconds: int,
    reason: "_R.ValueType" = execution_pb2.FALLBACK_REASON_UNSPECIFIED,
    count: int = 100,
) -> execution_pb2.Attempt:
    return execution_pb2.Attempt(
        backend=backend,
        failure_reason=reason,
        duration=lasting(milliseconds),
        document_count=count,
    )


def result(
    index: int, document_id: str = "", method: str = METHOD
) -> ranking_pb2.RankedDocument:
    return ranking_pb2.RankedDocument(
        id=document_id,
        index=index,
        original_rank=index + 1,
        search_method=method,
        document=document_pb2.Document(id=document_id, title=CANARY, text=CANARY),
    )


def answered(
    execution: execution_pb2.Execution, *results: ranking_pb2.RankedDocument
) -> rerank_service_pb2.RerankResponse:
    return rerank_service_pb2.RerankResponse(
        execution=execution, results=results, search_method=METHOD, message=CANARY
    )


def size_in_metadata(words: list[str]) -> int:
    return sum(len("x-rerank-debug") + len(each) + 32 for each in words)


def test_an_answer_tells_its_course_from_the_route_to_the_results() -> None:
    execution = execution_pb2.Execution(
        outcome=execution_pb2.OUTCOME_RERANKED,
        route="default",
        backend="cohere",
        model="rerank-v3.5",
        attempts=[
            attempt("tei", 800, execution_pb2.FALLBACK_REASON_TIMEOUT),
            attempt("cohere", 210),
            attempt("cohere", 10, count=1),
        ],
        stages=[
            execution_pb2.Stage(
                name="retrieve",
                outcome=execution_pb2.STAGE_OUTCOME_OK,
                duration=lasting(20),
                detail=CANARY,
            ),
            execution_pb2.Stage(
                name="rerank",
                outcome=execution_pb2.STAGE_OUTCOME_DEGRADED,
                reason=execution_pb2.FALLBACK_REASON_TIMEOUT,
                duration=lasting(1010),
            ),
        ],
        scored_count=100,
        cached_count=40,
        unscored_indexes=[100, 101],
        truncated_indexes=[7],
        duration=lasting(1030),
    )
    words = debug_words(answered(execution, result(6, "doc-6"), result(0)))
    assert words == [
        "route default: outcome RERANKED by cohere (rerank-v3.5) in 1.03 s",
        "stage retrieve: OK, 0.02 s",
        "stage rerank: DEGRADED (TIMEOUT), 1.01 s",
        "attempt 1: tei failed with TIMEOUT after 0.80 s, 100 documents",
        "attempt 2: cohere answered after 0.21 s, 100 documents",
        "attempt 3: cohere answered after 0.01 s, 1 document",
        "40 of 100 scores remembered",
        "2 documents not scored, 1 truncated",
        'result 1: document "doc-6", rank before 7, search_method rrf_hybrid+rerank',
        "result 2: document 0, rank before 1, search_method rrf_hybrid+rerank",
    ]
    assert CANARY not in str(words)


@pytest.mark.parametrize("outcome", [each for each in _O.values() if each])
def test_every_outcome_has_its_words(outcome: "_O.ValueType") -> None:
    name = _O.Name(outcome).removeprefix("OUTCOME_")
    execution = execution_pb2.Execution(outcome=outcome, route="default")
    assert debug_words(answered(execution)) == [
        f"route default: outcome {name} in 0.00 s"
    ]


@pytest.mark.parametrize("reason", [each for each in _R.values() if each])
def test_every_failure_has_its_words(reason: "_R.ValueType") -> None:
    name = _R.Name(reason).removeprefix("FALLBACK_REASON_")
    execution = execution_pb2.Execution(
        outcome=execution_pb2.OUTCOME_FELL_BACK,
        route="default",
        fallback_reason=reason,
        attempts=[attempt("tei", 10, reason, 5)],
        duration=lasting(20),
    )
    assert debug_words(answered(execution)) == [
        f"route default: outcome FELL_BACK after {name} in 0.02 s",
        f"attempt 1: tei failed with {name} after 0.01 s, 5 documents",
    ]


@pytest.mark.parametrize(
    "response",
    [
        search_service_pb2.SearchResponse(
            execution=execution_pb2.Execution(route="fast")
        ),
        search_service_pb2.SearchProgressiveResponse(
            search_response=search_service_pb2.SearchResponse(
                execution=execution_pb2.Execution(route="fast")
            )
        ),
    ],
    ids=lambda response: type(response).__name__,
)
def test_searches_tell_it_too(response: object) -> None:
    assert debug_words(response) == ["route fast: outcome unknown in 0.00 s"]


@pytest.mark.parametrize("response", [None, document_service_pb2.GetDocumentResponse()])
def test_other_messages_tell_nothing(response: object) -> None:
    assert debug_words(response) == []


@pytest.mark.parametrize(
    "document_id",
    ["", "schlüssel", "two\nlines", "\x7f", "x" * 65, "文書"],
    ids=["none", "umlaut", "newline", "delete", "long", "far"],
)
def test_an_id_that_metadata_cannot_hold_is_told_by_its_place(document_id: str) -> None:
    words = debug_words(answered(execution_pb2.Execution(), result(6, document_id)))
    assert words[-1].startswith("result 1: document 6, rank before 7")


def test_a_model_may_have_any_name() -> None:
    execution = execution_pb2.Execution(
        route="default", backend="tei", model="modèle\n" + "x" * 100
    )
    words = debug_words(answered(execution))
    assert words == [
        f"route default: outcome unknown by tei (mod?le?{'x' * 54}...) in 0.00 s"
    ]


def test_only_the_first_ten_results_are_told() -> None:
    results = [result(index) for index in range(50)]
    words = debug_words(answered(execution_pb2.Execution(), *results))
    assert [each for each in words if each.startswith("result ")] == words[1:]
    assert len(words) == 1 + 10


def test_many_attempts_leave_room_for_the_results() -> None:
    execution = execution_pb2.Execution(
        attempts=[attempt("a_rather_long_name_of_a_backend", 1)] * 60
    )
    words = debug_words(
        answered(execution, *(result(index, f"doc-{index}") for index in range(10)))
    )
    assert "44 more attempts" in words
    assert words[-1].startswith("result 10: ")


def test_whatever_happened_the_metadata_stay_below_their_bound() -> None:
    name = "x" * 200
    execution = execution_pb2.Execution(
        route=name,
        backend=name,
        model=name,
        attempts=[attempt(name, 1, execution_pb2.FALLBACK_REASON_MISCONFIGURED)] * 99,
        stages=[execution_pb2.Stage(name=name)] * 99,
        scored_count=1000,
        cached_count=1000,
    )
    words = debug_words(
        answered(execution, *(result(n, "y" * 64, name) for n in range(1000)))
    )
    assert 5_000 < size_in_metadata(words) <= 6 * 1024
    assert words[-1] == "more does not fit here"
    assert all(each.isascii() and each.isprintable() for each in words)


@pytest.mark.parametrize(
    ("metadata", "asked"),
    [
        ((), False),
        (None, False),
        ((("x-rerank-debug", "1"),), True),
        ((("user-agent", "x"), ("x-rerank-debug", b"1")), True),
        ((("x-rerank-debug", "0"),), False),
        ((("x-rerank-debug", ""),), False),
        ((("x-rerank-caller", "1"),), False),
    ],
)
def test_whoever_sends_one_asks_for_it(
    metadata: tuple[tuple[str, str | bytes], ...] | None,
    asked: bool,  # noqa: FBT001 - a case of the table
) -> None:
    assert asks_for_debug(metadata) is asked
