"""NVIDIA's NIM for reranking."""

import pytest

from gateway.backends.errors import (
    BackendError,
    Malformed,
    RateLimited,
    Rejected,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale, normalize
from gateway.settings import SettingsError, checked
from tests.support.scorers import asking
from tests.support.vendors import (
    WELL_BEHAVED,
    Watched,
    asking_for,
    composed,
    over,
    says,
)

MODEL = "nvidia/llama-3.2-nv-rerankqa-1b-v2"

# docs.nvidia.com/nim/nemo-retriever/text-reranking, using-reranking
QUERY = "which way should i go?"
PASSAGES = (
    "two roads diverged in a yellow wood, and sorry i could not travel both",
    "then took the other, as just as fair, and having perhaps the better claim",
    "and both that morning equally lay in leaves no step had trodden black.",
    "i shall be telling this with a sigh somewhere ages and ages hence:",
)
RANKINGS = (
    '{"rankings":[{"index":0,"logit":-1.2421875},{"index":3,"logit":-3.029296875},'
    '{"index":2,"logit":-5.41015625},{"index":1,"logit":-8.2421875}]%s}'
)
USAGE = ',"usage":{"prompt_tokens":123,"total_tokens":123}'


async def test_it_is_asked_in_objects_and_nothing_more() -> None:
    vendor = says(RANKINGS % "")
    await over(vendor, "nim", model=MODEL, key="nvapi-key").score(
        asking(*PASSAGES, query=QUERY)
    )
    request = vendor.requests[0]
    assert str(request.url) == "http://vendor.test/v1/ranking"
    assert request.headers["authorization"] == "Bearer nvapi-key"
    assert vendor.sent == {
        "model": MODEL,
        "query": {"text": QUERY},
        "passages": [{"text": passage} for passage in PASSAGES],
        "truncate": "END",
    }


@pytest.mark.parametrize(("more", "tokens"), [("", 0), (USAGE, 123)])
async def test_the_answer_that_its_documentation_prints_is_read(
    more: str, tokens: int
) -> None:
    scores = await over(says(RANKINGS % more), "nim", model=MODEL).score(
        asking(*PASSAGES, query=QUERY)
    )
    assert scores.raw == (-1.2421875, -8.2421875, -5.41015625, -3.029296875)
    assert scores.scale is Scale.LOGIT
    assert scores.model == MODEL
    assert scores.usage == Usage(tokens=tokens)


async def test_its_logits_become_probabilities() -> None:
    scores = await over(says(RANKINGS % ""), "nim", model=MODEL).score(asking_for(4))
    first, _, third, fourth = (normalize(raw or 0, scores.scale) for raw in scores.raw)
    assert (first, fourth, third) == pytest.approx(
        (0.224055, 0.046120, 0.004451), abs=1e-6
    )


async def test_an_answer_in_no_order_is_read_by_its_indexes() -> None:
    # infiniflow/ragflow:internal/entity/models/nvidia_rerank_test.go
    answer = {
        "rankings": [
            {"index": 2, "logit": 9.5},
            {"index": 0, "logit": 4.25},
            {"index": 1, "logit": 7.8},
        ]
    }
    scores = await over(says(answer), "nim", model=MODEL).score(asking_for(3))
    assert scores.raw == (4.25, 7.8, 9.5)


async def test_an_index_of_no_passage_is_refused() -> None:
    # The same file
    answer = {"rankings": [{"index": 0, "logit": 1.5}, {"index": 5, "logit": 0.5}]}
    with pytest.raises(Malformed, match="an index is outside 0 to 1"):
        await over(says(answer), "nim", model=MODEL).score(asking_for(2))


async def test_a_home_made_server_in_nearly_the_same_shape_is_refused() -> None:
    answer = {"rankings": [{"index": 0, "score": 0.5}]}
    with pytest.raises(Malformed, match="logit of 0 is missing"):
        await over(says(answer), "nim", model=MODEL).score(asking_for(1))


# Settings


HOSTED = "https://ai.api.nvidia.com/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://nim:8000", "http://nim:8000/v1/ranking"),
        ("http://nim:8000/v1", "http://nim:8000/v1/ranking"),
        ("http://nim:8000/v1/ranking", "http://nim:8000/v1/ranking"),
        # Hosted, each model has an address of its own.
        (f"{HOSTED}/reranking", f"{HOSTED}/reranking"),
    ],
)
async def test_it_runs_here_or_there(url: str, asked: str) -> None:
    vendor = Watched(WELL_BEHAVED["nim"])
    async with composed(vendor, "nim", model=MODEL, url=url) as scorer:
        assert (await scorer.score(asking_for(2))).complete
    assert str(vendor.requests[0].url) == asked


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "http://nim:8000"}, "model: is required by nim"),
        ({"model": MODEL}, "url: is required"),
    ],
)
def test_both_a_model_and_an_address_must_be_configured(
    settings: dict[str, str], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        checked({"backends": {"b": {"dialect": "nim", **settings}}})


async def test_it_takes_512_passages_in_a_call() -> None:
    vendor = Watched(WELL_BEHAVED["nim"])
    async with composed(
        vendor, "nim", model=MODEL, url="http://nim:8000", top_k=513
    ) as scorer:
        assert (await scorer.score(asking_for(513))).complete
    assert vendor.sizes == [512, 1]


# Refusals


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (400, Rejected, False),
        (401, Unauthenticated, False),
        (402, Unauthenticated, False),
        (403, Unauthenticated, False),
        (404, Rejected, False),
        (422, Rejected, False),
        (429, RateLimited, True),
        (500, Unavailable, True),
        (503, Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, kind: type[BackendError], *, transient: bool
) -> None:
    vendor = says({"object": "error", "message": "no", "detail": {}}, status)
    with pytest.raises(BackendError) as raised:
        await over(vendor, "nim", model=MODEL).score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is transient
