"""vLLM's server with a cross-encoder or a reranker."""

from collections.abc import Callable

import httpx
import pytest

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
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale
from gateway.settings import SettingsError, checked
from tests.support.scorers import asking
from tests.support.vendors import (
    WELL_BEHAVED,
    Handler,
    Watched,
    asking_for,
    composed,
    over,
    reply,
    says,
)

# vllm-project/vllm:docs/models/pooling_models/scoring.md
QUERY = "What is the capital of France?"
DOCUMENTS = (
    "The capital of Brazil is Brasilia.",
    "The capital of France is Paris.",
    "Horses and cows are both animals",
)
PRINTED = """{"id":"rerank-fae51b2b664d4ed38f5969b612edff77",
"model":"BAAI/bge-reranker-base","usage":{"total_tokens":56},"results":[
{"index":1,"document":{"text":"The capital of France is Paris."},
"relevance_score":0.99853515625},
{"index":0,"document":{"text":"The capital of Brazil is Brasilia."},
"relevance_score":0.0005860328674316406}]}"""

ASKED = {
    "query": QUERY,
    "documents": list(DOCUMENTS[:2]),
    "top_n": 2,
    "truncate_prompt_tokens": -1,
}

# infiniflow/ragflow#10283, and vllm/entrypoints for the same about scores
COUNTED = (
    "This model's maximum context length is 8192 tokens. However, you requested 20673"
    " tokens in the input for score. Please reduce the length of the input."
)
# BerriAI/litellm#39363: it had stopped counting
BOUNDED = (
    "This model's maximum context length is 512 tokens. However, you requested 0 output"
    " tokens and your prompt contains at least 513 input tokens, for a total of at least"
    " 513 tokens. Please reduce the length of the input prompt or the number of requested"
    " output tokens. (parameter=input_tokens, value=513)"
)


Form = Callable[[str], dict[str, object]]


def nested(message: str, code: int = 400) -> dict[str, object]:
    """Write an error as newer builds do."""
    kind = "BadRequestError"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def flat(message: str, code: int = 400) -> dict[str, object]:
    """Write an error as builds of 2025 did."""
    kind = "BadRequestError"
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
    }


BOTH_FORMS = pytest.mark.parametrize("form", [nested, flat])


async def test_it_is_asked_for_every_document_cut_at_what_the_model_takes() -> None:
    vendor = says(PRINTED)
    scorer = over(vendor, "vllm", scale=Scale.PROBABILITY)
    await scorer.score(asking(*DOCUMENTS[:2], query=QUERY))
    # Not /rerank: its key guards only what is below /v1.
    assert str(vendor.requests[0].url) == "http://vendor.test/v1/rerank"
    assert vendor.sent == ASKED


async def test_logits_are_asked_for_in_both_names_that_the_switch_has_had() -> None:
    vendor = says(PRINTED)
    scorer = over(vendor, "vllm", scale=Scale.LOGIT)
    await scorer.score(asking(*DOCUMENTS[:2], query=QUERY))
    assert vendor.sent == {**ASKED, "use_activation": False, "activation": False}


@pytest.mark.parametrize("scale", [Scale.PROBABILITY, Scale.COSINE, Scale.RELATIVE])
async def test_any_other_scale_leaves_the_activation_to_the_model(scale: Scale) -> None:
    vendor = says(PRINTED)
    await over(vendor, "vllm", scale=scale).score(asking_for(2))
    assert not {"use_activation", "activation"} & set(vendor.sent)


async def test_a_model_and_an_instruction_are_passed_on() -> None:
    vendor = says(PRINTED)
    scorer = over(vendor, "vllm", model="Qwen/Qwen3-Reranker-0.6B")
    await scorer.score(asking("a", "b", instruction="Prefer the newer one."))
    assert vendor.sent["model"] == "Qwen/Qwen3-Reranker-0.6B"
    assert vendor.sent["instruction"] == "Prefer the newer one."


async def test_its_key_is_a_bearer_token() -> None:
    vendor = says(PRINTED)
    await over(vendor, "vllm", key="test-api-key").score(asking_for(2))
    assert vendor.requests[0].headers["authorization"] == "Bearer test-api-key"


async def test_the_answer_that_its_documentation_prints_is_read() -> None:
    scorer = over(says(PRINTED), "vllm", scale=Scale.PROBABILITY)
    scores = await scorer.score(asking(*DOCUMENTS[:2], query=QUERY))
    assert scores.raw == (0.0005860328674316406, 0.99853515625)
    assert scores.scale is Scale.PROBABILITY
    assert scores.model == "BAAI/bge-reranker-base"
    assert scores.usage == Usage(tokens=56)


async def test_the_same_answer_to_three_documents_is_too_short() -> None:
    """As it is printed: nothing says why the third document is not there."""
    scorer = over(says(PRINTED), "vllm", scale=Scale.PROBABILITY)
    with pytest.raises(Malformed, match="2 results for 3 documents"):
        await scorer.score(asking(*DOCUMENTS, query=QUERY))


async def test_a_score_may_be_an_integer() -> None:
    # The numbers of the documentation of /score, in the shape of /rerank
    answer = (
        '{"results":[{"index":1,"relevance_score":1},'
        '{"index":0,"relevance_score":0.001094818115234375}],"usage":{}}'
    )
    scorer = over(says(answer), "vllm", scale=Scale.PROBABILITY)
    scores = await scorer.score(asking_for(2))
    assert scores.raw == (0.001094818115234375, 1.0)
    assert scores.usage == Usage()


async def test_the_shape_of_its_other_endpoint_is_refused() -> None:
    answer = {"object": "list", "data": [{"index": 0, "object": "score", "score": 1}]}
    with pytest.raises(Malformed, match="the list of results is missing"):
        await over(says(answer), "vllm").score(asking_for(1))


async def test_a_thousand_documents_are_one_call() -> None:
    """It has no bound of its own, and queues what it cannot compute at once."""
    vendor = Watched(WELL_BEHAVED["vllm"])
    async with composed(
        vendor, "vllm", url="http://vendor.test", scale="logit", top_k=1001
    ) as scorer:
        assert (await scorer.score(asking_for(1001))).complete
    assert vendor.sizes == [1000, 1]


def test_what_its_numbers_are_must_be_configured() -> None:
    raw = {"backends": {"b": {"dialect": "vllm", "url": "http://localhost:8000"}}}
    with pytest.raises(SettingsError, match=r"backends\.b\.scale: is required"):
        checked(raw)


# Refusals


@BOTH_FORMS
@pytest.mark.parametrize(
    ("message", "given", "limit"),
    [
        (COUNTED, 20673, 8192),
        (BOUNDED, None, 512),
        ("The maximum context length is exceeded.", None, None),
        (f"maximum context length is {'9' * 5000} tokens", None, None),
    ],
)
async def test_a_pair_that_is_too_long_names_its_bound(
    form: Form, message: str, given: int | None, limit: int | None
) -> None:
    with pytest.raises(TooLarge) as raised:
        await over(says(form(message), 400), "vllm").score(asking_for(1))
    error = raised.value
    assert (error.excess, error.given, error.limit) == (Excess.TOKENS, given, limit)


def takes_texts_of(most: int, refusal: object) -> Handler:
    """Play a model that refuses a call for one text that is too long for it."""

    async def vendor(request: httpx.Request) -> httpx.Response:
        if b"x" * (most + 1) in request.content:
            return reply(refusal, 400)
        return await WELL_BEHAVED["vllm"](request)

    return vendor


@BOTH_FORMS
@pytest.mark.parametrize(
    ("message", "longest", "takes"),
    [(COUNTED, 80_000, 32_000), (BOUNDED, 3000, 2000)],
)
async def test_a_document_that_is_too_long_is_cut_and_asked_about_again(
    form: Form, message: str, longest: int, takes: int
) -> None:
    vendor = Watched(takes_texts_of(takes, form(message)))
    texts = ("short", "x" * longest, "also short")
    async with composed(
        vendor, "vllm", url="http://vendor.test", scale="logit"
    ) as scorer:
        scores = await scorer.score(asking(*texts))
    assert scores.complete
    assert scores.truncated == {1}
    assert len(vendor.sent) == 2
    first, again = (body["documents"] for body in vendor.sent)
    assert first == list(texts)
    assert (again[0], again[2]) == (texts[0], texts[2])
    # The model's own bound counts: 8192 tokens leave more of it than 512 would.
    assert takes / 4 < len(again[1]) <= takes


@pytest.mark.parametrize(
    ("status", "body", "kind", "transient"),
    [
        (400, nested("top_n must be positive"), Rejected, False),
        (400, flat("priority scheduling is off"), Rejected, False),
        (401, {"error": "Unauthorized"}, Unauthenticated, False),
        (404, nested("The model `m` does not exist.", 404), Rejected, False),
        (429, "", RateLimited, True),
        (500, nested("Out of range float values", 500), Unavailable, True),
        (503, "", Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, body: object, kind: type[BackendError], *, transient: bool
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says(body, status), "vllm").score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is transient
