"""Each request counts once, whatever it is, and what is too much is said or waited for."""

import asyncio

import pytest

from gateway.backends.unpaid import QuotaExceeded
from gateway.errors import OverQuota
from gateway.events import Event, TenantRefused
from gateway.layers.admission import Admission
from gateway.tenants.counting import Requests
from gateway.tenants.limits import Limits, Rate
from gateway.tenants.tenants import Tenants
from tests.support.identities import by
from tests.support.scorers import FakeScorer, asking, now


def requests(limits: Limits, told: list[Event] | None = None) -> Requests:
    emit = (told if told is not None else []).append
    return Requests(Tenants({"acme": limits}), emit)


async def test_beyond_its_rate_a_tenant_is_told_what_and_when_to_come() -> None:
    told: list[Event] = []
    counting = requests(Limits(requests=Rate(2, 1)), told)
    with by("acme"):
        with counting.one():
            pass
        with pytest.raises(OverQuota, match="no more than 2 requests_per_s") as raised:
            counting.one().__enter__()
    assert raised.value.retry_after_s == pytest.approx(0.5)
    assert raised.value.used_up.quota == "requests_per_s"
    assert told == [TenantRefused("acme", "requests_per_s")]
    with by("other"), counting.one():
        pass


async def test_one_that_ends_in_whatever_way_leaves_room_for_another() -> None:
    counting = requests(Limits(at_once=1))
    with by("acme"):
        for error in (ValueError(), asyncio.CancelledError()):
            with pytest.raises(type(error)), counting.one():
                raise error
        with (
            counting.one(),
            pytest.raises(OverQuota, match="max_concurrent_calls"),
            counting.one(),
        ):
            pass
        with counting.one():
            pass


async def test_a_search_that_is_reranked_counts_once() -> None:
    counting = requests(Limits(requests=Rate(0.001, 3), at_once=1))
    scorer = Admission(FakeScorer(), requests=counting)
    with by("acme"):
        for _ in range(3):
            with counting.reranking():
                await scorer.score(asking("1"))
        with pytest.raises(QuotaExceeded, match="requests_per_s"):
            await scorer.score(asking("1"))


async def test_one_with_nothing_to_rerank_counts_too() -> None:
    counting = requests(Limits(requests=Rate(0.001, 1)))
    with by("acme"):
        with counting.reranking():
            pass
        with pytest.raises(OverQuota):
            counting.one().__enter__()


async def test_a_search_beyond_the_rate_goes_on_and_its_rerank_is_refused_once() -> (
    None
):
    told: list[Event] = []
    counting = requests(Limits(requests=Rate(0.001, 1)), told)
    leaf = FakeScorer()
    scorer = Admission(leaf, requests=counting)
    with by("acme"):
        with counting.one():
            pass
        with counting.reranking(), pytest.raises(QuotaExceeded):
            await scorer.score(asking("1"))
    assert not leaf.requests
    assert told == [TenantRefused("acme", "requests_per_s")]


async def test_documents_of_a_search_count_when_it_is_reranked() -> None:
    counting = requests(Limits(documents=Rate(0.001, 3)))
    scorer = Admission(FakeScorer(), requests=counting)
    with by("acme"):
        with counting.reranking():
            await scorer.score(asking("1", "2", "3"))
        with (
            counting.reranking(),
            pytest.raises(QuotaExceeded, match="documents_per_s"),
        ):
            await scorer.score(asking("1"))
        with counting.one():  # which brings none
            pass


async def test_a_call_of_many_waits_for_each_that_follows() -> None:
    counting = requests(Limits(requests=Rate(2, 1), at_once=1))
    with by("acme"), counting.one():
        began = now()
        for _ in range(4):
            await counting.another()
        assert now() - began == pytest.approx(2.0, abs=0.01)


async def test_several_of_them_share_the_rate() -> None:
    counting = requests(Limits(requests=Rate(10, 1)))
    began = now()
    with by("acme"):
        await asyncio.gather(*(counting.another() for _ in range(11)))
    assert now() - began == pytest.approx(1.0, abs=0.02)


async def test_who_waits_notices_other_limits() -> None:
    tenants = Tenants({"acme": Limits(requests=Rate(0.001, 1))})
    told: list[Event] = []
    counting = Requests(tenants, told.append)
    with by("acme"), counting.one():
        began = now()
        waiting = asyncio.create_task(counting.another())
        await asyncio.sleep(0.5)
        # As a reload does; the wait would have been a quarter of an hour.
        tenants.limit({"acme": Limits(requests=Rate(100, 1))})
        await waiting
        assert now() - began < 2.0


async def test_without_limits_nothing_waits() -> None:
    counting = requests(Limits())
    with by("acme"), counting.one():
        began = now()
        for _ in range(100):
            await counting.another()
        assert now() == began
