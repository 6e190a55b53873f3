"""What the line about a call says."""

import time

import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.events import CallEnded
from gateway.rpc.call_lines import call_ended, last_of
from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    execution_pb2,
    ranking_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

METHOD = "rerank.v1.RerankService/Rerank"
CANARY = "canary-4711"


def execution() -> execution_pb2.Execution:
    return execution_pb2.Execution(
        outcome=execution_pb2.OUTCOME_PARTIALLY_RERANKED,
        route="default",
        backend="tei",
        model="bge",
        attempts=[execution_pb2.Attempt(backend="tei")] * 2,
        stages=[
            execution_pb2.Stage(name="retrieve", duration=Duration(nanos=20_000_000)),
            execution_pb2.Stage(
                name="rerank", duration=Duration(seconds=1), detail=CANARY
            ),
        ],
        scored_count=90,
        cached_count=40,
        unscored_indexes=range(90, 100),
    )


def results() -> list[ranking_pb2.RankedDocument]:
    document = document_pb2.Document(id=CANARY, title=CANARY, text=CANARY)
    return [ranking_pb2.RankedDocument(id=CANARY, document=document)] * 3


FACTS = CallEnded(
    METHOD,
    "OK",
    0.25,
    outcome="PARTIALLY_RERANKED",
    search_method="rrf_hybrid+rerank",
    fallback=True,
    route="default",
    backend="tei",
    model="bge",
    candidates=100,
    scored=90,
    cached=40,
    returned=3,
    attempts=2,
    stages=(("retrieve", 0.02), ("rerank", 1.0)),
)


def searched() -> search_service_pb2.SearchResponse:
    return search_service_pb2.SearchResponse(
        results=results(),
        search_method="rrf_hybrid+rerank",
        message=CANARY,
        fallback_triggered=True,
        execution=execution(),
    )


def reranked() -> rerank_service_pb2.RerankResponse:
    return rerank_service_pb2.RerankResponse(
        results=results(),
        search_method="rrf_hybrid+rerank",
        message=CANARY,
        fallback_triggered=True,
        execution=execution(),
    )


@pytest.mark.parametrize(
    "response",
    [
        reranked(),
        searched(),
        search_service_pb2.SearchProgressiveResponse(
            search_response=searched(), final=True
        ),
    ],
    ids=lambda response: type(response).__name__,
)
def test_every_ranked_answer_is_told_with_its_facts_and_no_text(
    response: object,
) -> None:
    told = call_ended(METHOD, "OK", 0.25, response)
    assert told == FACTS
    assert CANARY not in str(told)


def test_a_fallback_is_told_with_its_reason() -> None:
    response = rerank_service_pb2.RerankResponse(
        execution=execution_pb2.Execution(
            outcome=execution_pb2.OUTCOME_FELL_BACK,
            fallback_reason=execution_pb2.FALLBACK_REASON_TIMEOUT,
            unscored_indexes=range(5),
        )
    )
    told = call_ended(METHOD, "OK", 0.25, response)
    assert (told.outcome, told.fallback_reason) == ("FELL_BACK", "TIMEOUT")
    assert (told.candidates, told.scored) == (5, 0)


@pytest.mark.parametrize(
    "response",
    [
        None,
        document_service_pb2.GetDocumentResponse(
            document=document_pb2.Document(text=CANARY)
        ),
    ],
    ids=["none", "documents"],
)
def test_of_other_calls_only_their_end_is_told(response: object) -> None:
    told = call_ended(METHOD, "NOT_FOUND", 0.25, response)
    assert told == CallEnded(METHOD, "NOT_FOUND", 0.25)


def test_a_value_that_is_newer_than_this_program_does_no_harm() -> None:
    newer = rerank_service_pb2.RerankResponse(
        execution=execution_pb2.Execution.FromString(b"\x08\x63\x10\x63")
    )
    told = call_ended(METHOD, "OK", 0.25, newer)
    assert (told.outcome, told.fallback_reason) == ("", "")


@pytest.mark.real_time
def test_it_costs_little() -> None:
    response = reranked()
    times = []
    for _ in range(300):
        began = time.perf_counter()
        call_ended(METHOD, "OK", 0.25, response)
        times.append(time.perf_counter() - began)
    # A few microseconds, on a machine that does not do much else.
    assert min(times) < 50e-6


def test_of_a_batch_all_requests_are_counted() -> None:
    fine = rerank_service_pb2.RerankResponse()
    degraded = rerank_service_pb2.RerankResponse(fallback_triggered=True)
    error = rerank_service_pb2.RerankBatchError(code=3)
    last: object = None
    for each in (
        rerank_service_pb2.RerankBatchResponse(request_id="a", response=fine),
        rerank_service_pb2.RerankBatchResponse(request_id="b", response=degraded),
        rerank_service_pb2.RerankBatchResponse(request_id="c", error=error),
        rerank_service_pb2.RerankBatchResponse(request_id="d", error=error),
    ):
        last = last_of(last, each)
    assert call_ended(METHOD, "CANCELLED", 0.25, last) == CallEnded(
        METHOD,
        "CANCELLED",
        0.25,
        fallback=True,
        requests=4,
        refused=2,
        fell_back=1,
    )


def test_of_other_calls_the_last_message_counts() -> None:
    assert last_of(reranked(), searched()) == searched()
