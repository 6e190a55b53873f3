"""michaelfeil's Infinity, with answers recorded from a real one."""

import itertools
import json

import httpx
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
from gateway.ranking.normalize import Scale, normalize
from tests.support import recorded
from tests.support.scorers import asking
from tests.support.vendors import (
    WELL_BEHAVED,
    Watched,
    asking_for,
    composed,
    over,
    reply,
    says,
)

URL = "http://vendor.test"

# What the same model says when it is asked directly, without any server
LOGITS = (
    2.644521474838257,
    -0.4597254693508148,
    0.7552106976509094,
    0.7865577936172485,
    1.3295447826385498,
)
PROBABILITIES = (
    0.9336725473403931,
    0.38705095648765564,
    0.6803130507469177,
    0.6870917081832886,
    0.7907653450965881,
)


async def test_it_is_asked_for_logits_of_every_document_and_nothing_more() -> None:
    exchange = recorded.infinity("raw_scores")
    vendor = says(exchange.body)
    await over(vendor, "infinity", model="minilm-ce").score(
        asking(*exchange.texts, query=exchange.request["query"])
    )
    assert vendor.requests[0].url.path == exchange.path
    assert vendor.sent == {
        **exchange.request,
        "top_n": 5,
        "return_documents": False,
    }


async def test_without_a_model_none_is_named() -> None:
    vendor = says(recorded.infinity("raw_scores").body)
    await over(vendor, "infinity").score(asking_for(5))
    assert "model" not in vendor.sent


async def test_its_key_is_a_bearer_token() -> None:
    vendor = says(recorded.infinity("raw_scores").body)
    await over(vendor, "infinity", key="test-api-key").score(asking_for(5))
    assert vendor.requests[0].headers["authorization"] == "Bearer test-api-key"


async def test_it_is_asked_below_its_prefix() -> None:
    exchange = recorded.infinity("raw_scores")
    vendor = says(exchange.body)
    await over(vendor, "infinity", url=f"{URL}/v1").score(asking(*exchange.texts))
    assert vendor.requests[0].url.path == "/v1/rerank"


async def test_a_recorded_answer_is_read() -> None:
    exchange = recorded.infinity("raw_scores")
    scores = await over(says(exchange.body), "infinity").score(asking(*exchange.texts))
    assert scores.raw == pytest.approx(LOGITS, abs=1e-6)
    assert scores.scale is Scale.LOGIT
    assert scores.model == "minilm-ce"
    # It counts characters and calls them tokens.
    assert scores.usage == Usage()


async def test_its_logits_become_what_its_own_sigmoid_would_have_given() -> None:
    exchange = recorded.infinity("raw_scores")
    scores = await over(says(exchange.body), "infinity").score(asking(*exchange.texts))
    normalized = [normalize(raw or 0.0, scores.scale) for raw in scores.raw]
    assert normalized == pytest.approx(PROBABILITIES, abs=1e-6)


@pytest.mark.parametrize("name", ["return_documents", "duplicate_documents"])
async def test_an_echo_and_ties_are_read_by_their_index(name: str) -> None:
    exchange = recorded.infinity(name)
    scores = await over(says(exchange.body), "infinity").score(asking(*exchange.texts))
    told = {
        result["index"]: result["relevance_score"]
        for result in json.loads(exchange.body)["results"]
    }
    assert scores.raw == tuple(told[place] for place in range(len(told)))


async def test_fewer_results_than_documents_are_refused() -> None:
    exchange = recorded.infinity("top_n_2")
    with pytest.raises(Malformed, match="2 results for 5 documents"):
        await over(says(exchange.body), "infinity").score(asking(*exchange.texts))


async def test_no_number_for_a_document_is_refused() -> None:
    # What it writes for NaN
    body = recorded.infinity("raw_scores").body.replace(b"2.644521474838257", b"null")
    with pytest.raises(Malformed, match="relevance_score of 0 is missing or null"):
        await over(says(body), "infinity").score(asking_for(5))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_best_is_the_best_wherever_it_stands(order: tuple[int, ...]) -> None:
    # libs/infinity_emb/tests/end_to_end/test_torch_reranker.py
    documents = (
        "The Eiffel Tower is located in Paris, France",
        "The Eiffel Tower is located in the United States.",
        "The Eiffel Tower is located in the United Kingdom.",
    )
    results = [
        {"relevance_score": 3.0 - each, "index": order.index(each), "document": None}
        for each in range(3)
    ]
    query = "Where is the Eiffel Tower located?"
    scores = await over(says({"results": results}), "infinity").score(
        asking(*(documents[each] for each in order), query=query)
    )
    assert scores.raw == tuple(3.0 - each for each in order)


# Limits


async def test_a_document_is_cut_where_it_would_be_refused() -> None:
    vendor = Watched(WELL_BEHAVED["infinity"])
    longest = "é" * 122_880
    await over(vendor, "infinity").score(asking(longest + "x", longest, "short"))
    assert vendor.sent[0]["documents"] == [longest, longest, "short"]


async def test_it_takes_so_many_documents_in_a_call() -> None:
    vendor = Watched(WELL_BEHAVED["infinity"])
    async with composed(vendor, "infinity", url=URL, top_k=2049) as scorer:
        assert (await scorer.score(asking_for(2049))).complete
    assert vendor.sizes == [2048, 1]


async def test_too_many_documents_are_told_with_their_bound() -> None:
    exchange = recorded.infinity("docs_2049")
    with pytest.raises(TooLarge) as raised:
        await over(says(exchange.body, exchange.status), "infinity").score(
            asking(*exchange.texts)
        )
    error = raised.value
    assert (error.excess, error.given, error.limit) == (Excess.DOCUMENTS, 2049, 2048)


@pytest.mark.parametrize("context", [None, {}, {"max_length": "2", "actual_length": 5}])
async def test_too_many_documents_may_be_told_without_it(context: object) -> None:
    problem = {"type": "too_long", "loc": ["body", "documents"], "ctx": context}
    with pytest.raises(TooLarge) as raised:
        await over(says({"detail": [problem]}, 422), "infinity").score(asking_for(5))
    assert (raised.value.excess, raised.value.limit) == (Excess.DOCUMENTS, None)


async def test_a_server_that_takes_less_is_asked_in_parts_and_remembered() -> None:
    async def takes_two(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return reply(recorded.infinity("models").body)
        count = len(json.loads(request.content)["documents"])
        if count > 2:
            context = {"max_length": 2, "actual_length": count}
            return reply({"detail": [{"type": "too_long", "ctx": context}]}, 422)
        return await WELL_BEHAVED["infinity"](request)

    vendor = Watched(takes_two)
    async with composed(vendor, "infinity", url=URL) as scorer:
        scores = await scorer.score(asking("a", "bb", "ccc"))
        assert scores.raw == (0.001, 0.002, 0.003)
        assert vendor.sizes == [3, 2, 1]
        await scorer.score(asking("a", "bb", "ccc"))
    assert vendor.sizes == [3, 2, 2, 1, 1]


# Refusals


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auth_wrong", Unauthenticated),
        ("missing_query", Rejected),
        ("v1_rerank", Rejected),
    ],
)
async def test_recorded_refusals_are_classified(
    name: str, kind: type[BackendError]
) -> None:
    exchange = recorded.infinity(name)
    with pytest.raises(BackendError) as raised:
        await over(says(exchange.body, exchange.status), "infinity").score(
            asking_for(1)
        )
    assert type(raised.value) is kind
    assert not raised.value.transient
    assert not raised.value.blames_backend


def engine_error(message: str, code: int) -> dict[str, object]:
    error = {"message": message, "type": None, "param": None, "code": code}
    return {"error": error}


@pytest.mark.parametrize(
    ("status", "body", "kind", "transient"),
    [
        (
            400,
            engine_error("ModelNotDeployedError: does not support `rerank`", 400),
            Rejected,
            False,
        ),
        (405, {"detail": "Method Not Allowed"}, Rejected, False),
        (422, {"detail": [{"type": "greater_than", "loc": []}]}, Rejected, False),
        (422, {"detail": [{"type": "string_too_long"}, 5, None]}, Rejected, False),
        (422, {"detail": {"type": "too_long"}}, Rejected, False),
        (
            429,
            engine_error("model m is currently overloaded", 429),
            RateLimited,
            True,
        ),
        (500, engine_error("InternalServerError: x", 500), Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, body: object, kind: type[BackendError], *, transient: bool
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says(body, status), "infinity").score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is transient


# What it tells about itself


def learned(told: object, model: str = "") -> Facts:
    info = DIALECTS["infinity"].info
    assert info is not None
    facts = Facts(max_documents=2048, model=model, fixed=False)
    info.read(told, facts)
    return facts


def test_its_list_of_models_names_the_one_that_can_rerank() -> None:
    info = DIALECTS["infinity"].info
    assert info is not None
    exchange = recorded.infinity("models")
    assert info.path == exchange.path
    assert learned(json.loads(exchange.body)).model == "minilm-ce"


@pytest.mark.parametrize(
    ("configured", "model"), [("", "a"), ("a", "a"), ("b", "b"), ("c", "a"), ("e", "a")]
)
def test_a_configured_model_stands_where_it_is_served(
    configured: str, model: str
) -> None:
    told = {
        "data": [
            {"id": "e", "capabilities": ["embed"]},
            {"id": "a", "capabilities": ["rerank"]},
            {"id": "b", "capabilities": ["classify", "rerank"]},
        ]
    }
    assert learned(told, configured).model == model


@pytest.mark.parametrize(
    "told",
    [
        {"data": []},
        {"data": [{"id": "e", "capabilities": ["embed"]}]},
        {"data": [{"id": "e", "capabilities": "rerank"}, 5, None]},
        {"data": [{"id": 5, "capabilities": ["rerank"]}]},
    ],
)
def test_what_its_list_of_models_does_not_tell_stays_as_it_was(told: object) -> None:
    assert learned(told, "m").model == "m"


@pytest.mark.parametrize("told", [None, [], "ok", {}, {"data": {}}])
def test_a_list_of_models_that_is_none_is_refused(told: object) -> None:
    with pytest.raises(ContractBrokenError, match="the list of models is"):
        learned(told)
