"""llama.cpp's server, with answers recorded from a real one."""

import json

import pytest

from gateway.backends.errors import (
    BackendError,
    Excess,
    Malformed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale
from tests.support import recorded
from tests.support.scorers import asking
from tests.support.vendors import asking_for, over, says


async def test_it_is_asked_for_every_document_and_nothing_more() -> None:
    exchange = recorded.llamacpp("normal_v1_rerank")
    vendor = says(exchange.body)
    await over(vendor, "llamacpp").score(
        asking(*exchange.texts, query=exchange.request["query"])
    )
    assert vendor.requests[0].url.path == exchange.path
    assert vendor.sent == {**exchange.request, "top_n": 5}


async def test_a_configured_model_is_named() -> None:
    exchange = recorded.llamacpp("normal_v1_rerank")
    vendor = says(exchange.body)
    await over(vendor, "llamacpp", model="reranker-a").score(asking_for(5))
    assert vendor.sent["model"] == "reranker-a"


@pytest.mark.parametrize(
    ("name", "raw", "tokens"),
    [
        (
            "normal_v1_rerank",
            (
                2.644174575805664,
                -0.45495957136154175,
                0.7557336091995239,
                0.7878475189208984,
                1.3310010433197021,
            ),
            181,
        ),
        (
            "duplicate_documents",
            (
                -0.45495957136154175,
                2.644174575805664,
                -0.45495957136154175,
                2.644174575805664,
                0.7557336091995239,
            ),
            200,
        ),
        ("unicode", (2.417498826980591, 0.4055136740207672, 0.6539263129234314), 73),
    ],
)
async def test_what_it_answered_is_read(
    name: str, raw: tuple[float, ...], tokens: int
) -> None:
    exchange = recorded.llamacpp(name)
    vendor = says(exchange.body, exchange.status, exchange.headers)
    scores = await over(vendor, "llamacpp", scale=Scale.LOGIT).score(
        asking(*exchange.texts, query=exchange.request["query"])
    )
    assert scores.raw == raw
    assert scores.model == "minilm-ce-f16.gguf"
    assert scores.usage == Usage(tokens=tokens)


async def test_the_path_of_its_model_is_no_business_of_callers() -> None:
    answer = {
        "model": "/home/ops/models/bge.gguf",
        "results": [{"index": 0, "relevance_score": 1.5}],
    }
    scores = await over(says(answer), "llamacpp").score(asking_for(1))
    assert scores.model == "bge.gguf"


async def test_a_list_cut_at_top_n_is_refused_since_it_was_asked_for_all() -> None:
    exchange = recorded.llamacpp("top_n_2")
    with pytest.raises(Malformed, match="2 results for 5 documents"):
        await over(says(exchange.body), "llamacpp").score(asking(*exchange.texts))


async def test_the_shape_that_texts_would_have_given_is_refused() -> None:
    exchange = recorded.llamacpp("tei_texts")
    with pytest.raises(Malformed, match="the answer is an array, not an object"):
        await over(says(exchange.body), "llamacpp").score(asking(*exchange.texts))


async def test_a_sequence_that_failed_there_is_unscored_here() -> None:
    answer = (
        '{"results":[{"index":0,"relevance_score":1.5},'
        '{"index":1,"relevance_score":-1e6}]}'
    )
    scores = await over(says(answer), "llamacpp").score(asking_for(2))
    assert scores.raw == (1.5, None)
    assert not scores.complete


async def test_an_answer_in_which_every_sequence_failed_is_none() -> None:
    answer = '{"results":[{"index":0,"relevance_score":-1e6}]}'
    with pytest.raises(Malformed, match="no document was scored"):
        await over(says(answer), "llamacpp").score(asking_for(1))


async def test_a_qwen_probability_stays_one_and_a_logit_in_its_place_is_noticed() -> (
    None
):
    # withcatai/node-llama-cpp#617, and a logit of ggml-org/llama.cpp#8555
    good = '{"results":[{"index":0,"relevance_score":0.9971}]}'
    scores = await over(says(good), "llamacpp", scale=Scale.PROBABILITY).score(
        asking_for(1)
    )
    assert scores.raw == (0.9971,)
    wrong = '{"results":[{"index":0,"relevance_score":7.7418}]}'
    with pytest.raises(Malformed, match="is its scale configured right"):
        await over(says(wrong), "llamacpp", scale=Scale.PROBABILITY).score(
            asking_for(1)
        )


async def test_nan_comes_as_null_and_is_refused() -> None:
    answer = '{"results":[{"index":0,"relevance_score":null}]}'
    with pytest.raises(Malformed, match="relevance_score of 0 is missing or null"):
        await over(says(answer), "llamacpp").score(asking_for(1))


@pytest.mark.parametrize(
    ("name", "kind", "transient", "blames"),
    [
        ("missing_query", Rejected, False, False),
        ("auth_wrong", Unauthenticated, False, False),
        ("unknown_path_post", Rejected, False, False),
        ("loading_rerank", Unavailable, True, False),
        ("server_without_reranking_flag", Unavailable, False, True),
        ("doc_longer_than_context", TooLarge, False, False),
    ],
)
async def test_what_its_refusals_mean(
    name: str, kind: type[BackendError], *, transient: bool, blames: bool
) -> None:
    exchange = recorded.llamacpp(name)
    vendor = says(exchange.body, exchange.status, exchange.headers)
    with pytest.raises(BackendError) as raised:
        await over(vendor, "llamacpp").score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is transient
    assert raised.value.blames_backend is blames


@pytest.mark.parametrize(
    ("status", "error", "given", "limit"),
    [
        (
            500,
            {
                "message": "input (738 tokens) is too large to process. increase the"
                " physical batch size (current batch size: 512)"
            },
            738,
            512,
        ),
        (
            400,
            {
                "message": "input (9000 tokens) is larger than the max context size"
                " (8192 tokens). skipping",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 8192,
            },
            9000,
            8192,
        ),
        (
            400,
            {
                "message": "input (9000 tokens) is larger than the max context size",
                "n_ctx": "8192",
            },
            9000,
            None,
        ),
        # Builds of early 2025: ggml-org/llama.cpp#11105
        (
            500,
            {"message": "input is too large to process. increase the batch size"},
            None,
            None,
        ),
        (400, {"type": "exceed_context_size_error"}, None, None),
    ],
)
async def test_a_pair_that_is_too_long_is_found_behind_any_status(
    status: int, error: object, given: int | None, limit: int | None
) -> None:
    with pytest.raises(TooLarge) as raised:
        await over(says({"error": error}, status), "llamacpp").score(asking_for(1))
    assert raised.value.excess is Excess.TOKENS
    assert (raised.value.given, raised.value.limit) == (given, limit)


async def test_a_refusal_relayed_as_success_is_refused() -> None:
    # lemonade-sdk/lemonade#2974
    answer = {
        "error": {
            "code": 501,
            "message": "This server does not support reranking."
            " Start it with `--reranking`",
            "type": "not_supported_error",
            "status_code": 501,
        }
    }
    with pytest.raises(Malformed, match="the list of results is missing or null"):
        await over(says(json.dumps(answer)), "llamacpp").score(asking_for(1))
