"""A vendor is one file, one line, and a fixture: here is one that nobody has.

Its file and its line are in `tests/support/quillon.py`. Malformed answers are put to it in
`test_malformed.py`, and faults in `tests/e2e/test_fault_matrix.py`, as to every other.
"""

from collections.abc import Iterator

import httpx
import pytest

from gateway.backends.scorer import Usage
from gateway.settings import SettingsError, checked
from tests.backends import contract
from tests.support.quillon import registered
from tests.support.scorers import asking
from tests.support.vendors import Manners, Watched, composed, over, reply

# The fixture

BEHAVES_WELL = Manners(
    takes=frozenset({"judge", "question", "candidates", "want"}),
    texts="candidates",
    objects=True,
    how_many="want",
    results="verdicts",
    score="likelihood",
    more={"served_by": "quillon-2", "cost": {"credits": 3}},
)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with registered():
        yield


# What it then has for nothing


@pytest.mark.parametrize(
    "clause",
    [*contract.EVERY_SCORER, *contract.EVERY_POINTWISE_SCORER],
    ids=lambda clause: clause.__name__,
)
async def test_it_keeps_the_contract(clause: contract.Clause) -> None:
    await clause(over(BEHAVES_WELL, "quillon", model="m"))
    async with composed(BEHAVES_WELL, "quillon", model="m") as scorer:
        await clause(scorer)


async def test_it_is_configured_and_asked_as_it_says() -> None:
    vendor = Watched(BEHAVES_WELL)
    async with composed(vendor, "quillon", model="m", key="test-api-key") as scorer:
        scores = await scorer.score(asking("a", "bb", query="why"))
    (request,) = vendor.requests
    assert str(request.url) == "https://quillon.test/v3/judge"
    assert request.headers["x-quillon-key"] == "test-api-key"
    assert request.headers["x-quillon-edition"] == "4"
    assert vendor.sent == [
        {
            "judge": "m",
            "question": "why",
            "candidates": [{"text": "a"}, {"text": "bb"}],
            "want": 2,
        }
    ]
    assert scores.raw == (0.001, 0.002)
    assert scores.model == "quillon-2"
    assert scores.usage == Usage(search_units=3.0)
    assert [attempt.document_count for attempt in scores.attempts] == [2]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "backends.b.model: is required by quillon"),
        (
            {"model": "m", "scale": "logit"},
            "backends.b.scale: quillon always gives probability",
        ),
    ],
)
def test_its_settings_are_checked(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        checked({"backends": {"b": {"dialect": "quillon", **settings}}})
    assert raised.value.problems == (problem,)


@pytest.mark.parametrize(("model", "calls"), [("m", 3), ("m-panel", 1)])
async def test_it_is_asked_in_parts_unless_it_compares(model: str, calls: int) -> None:
    vendor = Watched(BEHAVES_WELL)
    async with composed(vendor, "quillon", model=model) as scorer:
        scores = await scorer.score(asking(*"abcdefghi"))
    assert len(vendor.sent) == calls
    assert scores.beyond == (0 if calls == 3 else 5)


async def test_its_own_bound_is_heeded() -> None:
    async def takes_two(request: httpx.Request) -> httpx.Response:
        if request.content.count(b"text") > 2:
            return reply({"most_candidates": 2}, 400)
        return await BEHAVES_WELL(request)

    vendor = Watched(takes_two)
    async with composed(vendor, "quillon", model="m") as scorer:
        assert (await scorer.score(asking(*"abc"))).complete
    assert [body["want"] for body in vendor.sent] == [3, 2, 1]
