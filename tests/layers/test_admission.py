"""Only so much in a second and at once, for each tenant."""

import asyncio
from dataclasses import replace

import pytest

from gateway.backends.scorer import Payer
from gateway.backends.unpaid import QuotaExceeded
from gateway.events import Event, TenantRefused
from gateway.layers.admission import Admission
from gateway.tenants.counting import Requests
from gateway.tenants.limits import Limits, Rate
from gateway.tenants.tenants import Tenants
from tests.support.identities import by
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    asking,
    hangs,
    reads,
)


def admission(
    leaf: FakeScorer, limits: Limits, told: list[Event] | None = None
) -> Admission:
    emit = (told if told is not None else []).append
    return Admission(leaf, requests=Requests(Tenants({"acme": limits}), emit))


def remembered() -> Step:
    """Answer as from memory."""

    async def step(scorer: FakeScorer, request: object) -> object:
        scores = await reads()(scorer, request)  # type: ignore[arg-type]  # a request
        return replace(scores, again=lambda: True)

    return step  # type: ignore[return-value]  # and scores


async def test_beyond_its_rate_a_tenant_is_refused_at_once_and_told_when_to_come() -> (
    None
):
    leaf, told = FakeScorer(), list[Event]()
    scorer = admission(leaf, Limits(requests=Rate(2, 2)), told)
    with by("acme"):
        for each in "12":
            await scorer.score(asking(each))
        with pytest.raises(QuotaExceeded, match="no more than 2 requests_per_s") as e:
            await scorer.score(asking("3"))
        assert e.value.retry_after_s == pytest.approx(0.5)
        assert told == [TenantRefused("acme", "requests_per_s")]
        await asyncio.sleep(0.5)
        await scorer.score(asking("3"))
    assert len(leaf.requests) == 3


async def test_others_are_not_refused() -> None:
    scorer = admission(FakeScorer(), Limits(requests=Rate(1, 1)))
    with by("acme"):
        await scorer.score(asking("1"))
    with by("other"):
        for each in "123":
            await scorer.score(asking(each))


async def test_only_so_many_at_once_however_they_end() -> None:
    leaf = FakeScorer(hangs(), after(1, reads()))
    scorer = admission(leaf, Limits(at_once=2))
    with by("acme"):
        given_up = asyncio.create_task(scorer.score(asking("1")))
        await asyncio.sleep(0)
        other = asyncio.create_task(scorer.score(asking("2")))
        await asyncio.sleep(0)
        with pytest.raises(QuotaExceeded, match="max_concurrent_calls"):
            await scorer.score(asking("3"))
        given_up.cancel()
        await asyncio.wait([given_up])
        await scorer.score(asking("3"))
        await other


async def test_who_pays_is_said_and_has_one_share_of_turns() -> None:
    leaf = FakeScorer()
    labelled = replace(asking("1"), payer=Payer("", (("team", "x"),)), caller="many")
    with by("acme"):
        await admission(leaf, Limits()).score(labelled)
    await admission(leaf, Limits()).score(labelled)
    (of_tenant, of_nobody) = leaf.requests
    assert (of_tenant.payer, of_tenant.caller) == (Payer("acme"), "acme")
    assert of_tenant.payer
    assert of_tenant.payer.labels == (("team", "x"),)
    assert (of_nobody.payer, of_nobody.caller) == (Payer(""), "many")


async def test_an_answer_that_is_given_again_counts_as_well() -> None:
    scorer = admission(FakeScorer(remembered()), Limits(requests=Rate(1, 2)))
    with by("acme"):
        again = (await scorer.score(asking("1"))).again
        assert again
        assert again()
        assert not again()
        await asyncio.sleep(1)
        assert again()
    with by("other"):
        assert again()
