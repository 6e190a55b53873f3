"""HuggingFace Text Embeddings Inference, over HTTP."""

import pytest

from gateway.backends.dialects import DIALECTS
from gateway.backends.errors import (
    BackendError,
    Excess,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.reading import ContractBrokenError
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale
from tests.support import recorded
from tests.support.scorers import asking
from tests.support.vendors import asking_for, over, says


async def test_it_is_asked_for_logits_of_texts_and_nothing_more() -> None:
    vendor = says([{"index": 1, "score": 0.5}, {"index": 0, "score": -1.5}])
    # README.md of the project
    await over(vendor, "tei", model="BAAI/bge-reranker-base").score(
        asking(
            "Deep Learning is not...",
            "Deep learning is...",
            query="What is Deep Learning?",
        )
    )
    assert str(vendor.requests[0].url) == "http://vendor.test/rerank"
    assert vendor.sent == {
        "query": "What is Deep Learning?",
        "texts": ["Deep Learning is not...", "Deep learning is..."],
        "raw_scores": True,
        "truncate": True,
    }


async def test_the_answer_is_an_array_with_the_best_first() -> None:
    # The shape of docs/openapi.json, the numbers of backends/candle/tests/snapshots
    vendor = says(
        '[{"index":1,"score":-0.6045344,"text":"b"},{"index":0,"score":-2.5560656}]'
    )
    scores = await over(vendor, "tei", model="configured").score(asking_for(2))
    assert scores.raw == (-2.5560656, -0.6045344)
    assert scores.scale is Scale.LOGIT
    assert scores.model == "configured"


async def test_ties_come_in_any_order_and_are_paired_by_index() -> None:
    # Router tests: texts 0 and 2 are equal, and 2 precedes 0
    vendor = says(
        '[{"index":2,"score":1.0},{"index":0,"score":1.0},{"index":1,"score":-1}]'
    )
    scores = await over(vendor, "tei").score(asking("test", "other", "test"))
    assert scores.raw == (1.0, -1.0, 1.0)


async def test_an_answer_of_another_server_in_the_same_shape_is_read() -> None:
    exchange = recorded.llamacpp("tei_texts")
    scores = await over(says(exchange.body), "tei").score(asking(*exchange.texts))
    assert scores.raw == (
        2.644174575805664,
        -0.45495957136154175,
        0.7557336091995239,
        0.7878475189208984,
        1.3310010433197021,
    )


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ("512", 512),
        ("0", 0),
        ("", 0),
        ("-3", 0),
        ("1.5", 0),
        ("a lot", 0),
        ("²", 0),
        ("9" * 5000, 0),
    ],
)
async def test_what_it_cost_is_in_a_header(said: str, tokens: int) -> None:
    vendor = says([{"index": 0, "score": 1.0}], headers={"x-compute-tokens": said})
    scores = await over(vendor, "tei").score(asking_for(1))
    assert scores.usage == Usage(tokens=tokens)


BATCH = "batch size 33 > maximum allowed batch size 32"
LENGTH = "Input validation error: `inputs` must have less than 512 tokens. Given: 534"


@pytest.mark.parametrize("error_type", ["Validation", "validation"])
@pytest.mark.parametrize("status", [413, 422])
async def test_a_batch_that_is_too_large_names_its_bound_in_either_status(
    status: int, error_type: str
) -> None:
    vendor = says({"error": BATCH, "error_type": error_type}, status)
    with pytest.raises(TooLarge) as raised:
        await over(vendor, "tei").score(asking_for(1))
    error = raised.value
    assert (error.excess, error.given, error.limit) == (Excess.DOCUMENTS, 33, 32)


@pytest.mark.parametrize("status", [413, 422])
async def test_a_pair_that_is_too_long_names_its_bound(status: int) -> None:
    vendor = says({"error": LENGTH, "error_type": "Validation"}, status)
    with pytest.raises(TooLarge) as raised:
        await over(vendor, "tei").score(asking_for(1))
    error = raised.value
    assert (error.excess, error.given, error.limit) == (Excess.TOKENS, 534, 512)


@pytest.mark.parametrize(
    ("status", "body", "kind", "transient", "blames"),
    [
        # The examples of docs/openapi.json, and the same as the router really writes it
        (400, {"error": "Batch is empty", "error_type": "empty"}, Rejected, 0, 0),
        (400, {"error": "Batch is empty", "error_type": "Empty"}, Rejected, 0, 0),
        (
            413,
            {"error": "Batch size error", "error_type": "validation"},
            TooLarge,
            0,
            0,
        ),
        (
            422,
            {"error": "Tokenization error", "error_type": "tokenizer"},
            Rejected,
            0,
            0,
        ),
        (
            424,
            {"error": "Inference failed", "error_type": "backend"},
            Unavailable,
            1,
            1,
        ),
        (424, {"error": "score is NaN", "error_type": "Backend"}, Unavailable, 1, 1),
        (
            424,
            {
                "error": "Backend error: model is not a re-ranker model",
                "error_type": "Backend",
            },
            Rejected,
            0,
            0,
        ),
        (
            429,
            {"error": "Model is overloaded", "error_type": "overloaded"},
            RateLimited,
            1,
            0,
        ),
        (503, {"error": "unhealthy", "error_type": "Unhealthy"}, Unavailable, 1, 0),
        (401, "", Unauthenticated, 0, 0),
        (400, "Failed to parse the request body as JSON", Rejected, 0, 0),
        (415, "Expected request with `Content-Type: application/json`", Rejected, 0, 0),
        (422, "missing field `texts` at line 1 column 10", Rejected, 0, 0),
        (
            413,
            "Failed to buffer the request body: length limit exceeded",
            TooLarge,
            0,
            0,
        ),
        (500, ["not", "an", "object"], Unavailable, 1, 1),
        (424, {"error_type": 5, "error": None}, Rejected, 0, 0),
    ],
)
async def test_what_its_refusals_mean(
    status: int, body: object, kind: type[BackendError], transient: int, blames: int
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says(body, status), "tei").score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is bool(transient)
    assert raised.value.blames_backend is bool(blames)


async def test_a_body_that_is_too_large_is_told_by_its_status() -> None:
    vendor = says("Failed to buffer the request body: length limit exceeded", 413)
    with pytest.raises(TooLarge) as raised:
        await over(vendor, "tei").score(asking_for(1))
    assert raised.value.excess is Excess.BYTES


@pytest.mark.parametrize(
    "body",
    [
        {"error": BATCH, "error_type": "Validation"},  # chunkhound/chunkhound#77
        {"results": [{"index": 0, "score": 1.0}]},
        [[0, 1.0]],
        [{"index": 0, "relevance_score": 1.0}],
    ],
)
async def test_a_success_in_another_shape_is_refused(body: object) -> None:
    with pytest.raises(Malformed):
        await over(says(body), "tei").score(asking_for(1))


# What it tells about itself


def test_its_info_names_the_model_and_the_size_of_a_batch() -> None:
    info = DIALECTS["tei"].info
    assert info is not None
    assert info.path == "/info"
    facts = Facts(max_documents=32, model="", fixed=False)
    info.read(
        {
            "model_id": "BAAI/bge-reranker-v2-m3",
            "max_client_batch_size": 64,
            "max_concurrent_requests": 512,
        },
        facts,
    )
    assert (facts.model, facts.max_documents) == ("BAAI/bge-reranker-v2-m3", 64)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"model_id": 5, "max_client_batch_size": "64"},
        {"max_client_batch_size": True},
    ],
)
def test_what_its_info_does_not_tell_stays_as_it_was(told: object) -> None:
    info = DIALECTS["tei"].info
    assert info is not None
    facts = Facts(max_documents=32, model="m", fixed=False)
    info.read(told, facts)
    assert (facts.model, facts.max_documents) == ("m", 32)


def test_a_model_with_a_name_without_end_is_named_in_short() -> None:
    info = DIALECTS["tei"].info
    assert info is not None
    facts = Facts(max_documents=32, model="m", fixed=False)
    info.read({"model_id": "x" * 10_000}, facts)
    assert facts.model == "x" * 256


@pytest.mark.parametrize("told", [None, [], "ok"])
def test_an_info_that_is_no_object_is_refused(told: object) -> None:
    info = DIALECTS["tei"].info
    assert info is not None
    with pytest.raises(ContractBrokenError, match="the info is"):
        info.read(told, Facts(max_documents=32, model="m", fixed=False))
