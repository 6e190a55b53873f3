"""What real servers answer, through the gateway and directly, compared."""

from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.ranking.normalize import sigmoid
from rerank.v1 import execution_pb2, rerank_service_pb2
from tests.real_servers.asking import (
    QUERY,
    TEXTS,
    Asked,
    asking,
    assert_fell_back,
    assert_reranked,
    assert_same,
)
from tests.real_servers.kinds import KINDS, Server

pytestmark = pytest.mark.real_time

_CUT_BY_THEMSELVES = [kind for kind in KINDS if kind.cuts]
_REFUSE_LONG_ONES = [kind for kind in KINDS if not kind.cuts]

_PROSE = " ".join(TEXTS)

_LONG = {
    "prose": _PROSE * 12,
    "one word": "disk" * 2000,
    "digits": "".join(str(place * 7919) for place in range(1200)),
    "punctuation": "{[(<=>)]};" * 300,
    "chinese": "数据库备份需要在磁盘故障之后恢复。" * 60,
    "arabic": "كيف أستعيد نسخة احتياطية من قاعدة البيانات بعد تعطل القرص؟ " * 40,
    "emoji": "💾🔥 " * 700,
    "spaces": "a" + " " * 9000 + "b",
    "prose, then code": _PROSE * 5 + "{[(<=>)]};" * 200,
    "code, then prose": "{[(<=>)]};" * 200 + _PROSE * 5,
}

_ODD = (
    *TEXTS,
    "数据库备份在磁盘故障后如何恢复",
    "كيف أستعيد نسخة احتياطية؟",
    "Резервное копирование базы данных",
    "💾 → 🔥 → 👩‍👩‍👧‍👦 🏳️‍🌈",
    "cafe\u0301 and caf\u00e9, \ufb01le",
    "zero\u200bwidth, bidi \u202e\u202c, line \u2028 paragraph \u2029",
    "a nul \x00 inside, a bell \x07, a delete \x7f",
    "last \ud7ff private \ue000 beyond \U0010ffff \ufeff",
    "quotes \" ' \\ / and \t tabs \r\n lines",
    "[CLS] backup [SEP] restore [MASK] <s> </s> <|endoftext|> [UNK]",
    '{"query": "x", "documents": []}',
)


@pytest.fixture
async def gateway(server: Server) -> AsyncIterator[Asked]:
    async with asking(server.kind, server.settings(), server.key) as gateway:
        yield gateway


async def test_scores_and_order_are_those_of_the_server(
    server: Server, gateway: Asked
) -> None:
    direct = await server.ask(QUERY, TEXTS)

    response = await gateway.rerank()

    assert_reranked(response)
    assert_same(response, direct, await server.tolerance())
    assert response.results[0].index == 3
    assert response.execution.backend == server.kind.dialect
    assert response.execution.scored_count == len(TEXTS)
    for result in response.results:
        scale = server.kind.scale or "logit"
        if scale == "logit":
            assert result.rerank_score == sigmoid(result.raw_score)
        else:
            assert result.rerank_score == result.raw_score


async def test_two_hundred_documents_are_all_scored(
    server: Server, gateway: Asked
) -> None:
    whose = ("database", "disk", "kitchen", "garden", "network", "library", "engine")
    what = ("backup", "failure", "repair", "recipe", "replacement", "schedule")
    texts = [
        f"{whose[place % 7]} {what[place % 6]} number {place}" for place in range(200)
    ]
    direct = await server.ask(QUERY, texts)

    response = await gateway.rerank(texts)

    assert_reranked(response, calls=-(-len(texts) // server.kind.at_once))
    assert_same(response, direct, await server.tolerance())
    assert response.execution.scored_count == len(texts)
    assert not response.execution.truncated_indexes


@pytest.mark.parametrize("server", _REFUSE_LONG_ONES, indirect=True)
@pytest.mark.parametrize("long", _LONG.values(), ids=_LONG)
async def test_a_document_that_it_refuses_is_shortened_and_named(
    server: Server, gateway: Asked, long: str
) -> None:
    texts = [*TEXTS, long]

    response = await gateway.rerank(texts)

    assert_reranked(response, calls=None)
    await _assert_shortened(server, response, texts)


@pytest.mark.parametrize("server", _REFUSE_LONG_ONES, indirect=True)
async def test_many_different_documents_that_it_refuses_are_shortened(
    server: Server, gateway: Asked
) -> None:
    texts = [*TEXTS, *_LONG.values()]

    response = await gateway.rerank(texts)

    assert_reranked(response, calls=None)
    assert response.execution.truncated_indexes
    await _assert_shortened(server, response, texts)


async def _assert_shortened(
    server: Server, response: rerank_service_pb2.RerankResponse, texts: Sequence[str]
) -> None:
    """Check that what was refused was cut and named, and the rest scored as ever."""
    execution = response.execution
    *refusals, success = [
        execution_pb2.FallbackReason.Name(each.failure_reason)
        for each in execution.attempts
    ]
    assert set(refusals) <= {"FALLBACK_REASON_TOO_LARGE"}
    assert success == "FALLBACK_REASON_UNSPECIFIED"
    # Some are long, but of few tokens.
    assert bool(refusals) == bool(execution.truncated_indexes)
    cut = set(execution.truncated_indexes)
    # Where there is little room, the short ones are cut as well: nobody says which
    # one was refused.
    assert not cut or max(cut) >= len(TEXTS)
    raw = {result.index: result.raw_score for result in response.results}
    assert len(raw) == len(texts)
    direct = await server.ask(QUERY, TEXTS)
    tolerance = await server.tolerance()
    for place, expected in enumerate(direct):
        assert place in cut or abs(raw[place] - expected) <= tolerance


@pytest.mark.parametrize("server", _REFUSE_LONG_ONES, indirect=True)
async def test_a_query_that_leaves_no_room_keeps_the_callers_order(
    gateway: Asked,
) -> None:
    response = await gateway.rerank(query=_PROSE * 12)

    assert_fell_back(response, "TOO_LARGE")


@pytest.mark.parametrize("server", _CUT_BY_THEMSELVES, indirect=True)
@pytest.mark.parametrize("long", _LONG.values(), ids=_LONG)
async def test_a_document_that_it_cuts_is_scored(
    server: Server, gateway: Asked, long: str
) -> None:
    texts = [*TEXTS[:2], long, *TEXTS[2:]]
    direct = await server.ask(QUERY, texts)

    response = await gateway.rerank(texts)

    assert_reranked(response)
    assert_same(response, direct, await server.tolerance())


async def test_blank_documents_are_left_out(server: Server, gateway: Asked) -> None:
    direct = await server.ask(QUERY, TEXTS)

    texts = ["", *TEXTS[:2], " \n\t", *TEXTS[2:], "\u3000\u00a0"]
    response = await gateway.rerank(texts)

    assert_reranked(response)
    assert response.execution.unscored_indexes == [0, 3, 7]
    assert [result.index for result in response.results[-3:]] == [0, 3, 7]
    assert not any(result.HasField("raw_score") for result in response.results[-3:])
    raw = {r.index: r.raw_score for r in response.results if r.HasField("raw_score")}
    tolerance = await server.tolerance()
    for place, expected in zip([1, 2, 4, 5, 6], direct, strict=True):
        assert abs(raw[place] - expected) <= tolerance


async def test_every_text_arrives_as_it_was_sent(
    server: Server, gateway: Asked
) -> None:
    query = "Wie stelle ich eine Sicherung wieder her? 数据库 💾 \u0301\x00"
    direct = await server.ask(query, _ODD)

    response = await gateway.rerank(_ODD, query=query)

    assert_reranked(response)
    assert_same(response, direct, await server.tolerance())


async def test_invisible_documents_do_not_break_the_others(
    server: Server, gateway: Asked
) -> None:
    texts = (*TEXTS, "\x00", "\u200b", "\ufeff", "\x01", ".", "\ud7ff")
    direct = await server.ask(QUERY, texts)

    response = await gateway.rerank(texts)

    assert_reranked(response)
    assert_same(response, direct, await server.tolerance())


async def test_top_n_cuts_what_was_scored_as_a_whole(
    server: Server, gateway: Asked
) -> None:
    whole = await gateway.rerank()
    response = await gateway.rerank(top_n=2)

    assert_reranked(response)
    assert [r.index for r in response.results] == [r.index for r in whole.results[:2]]
    assert response.execution.scored_count == len(TEXTS)
    direct = await server.ask(QUERY, TEXTS)
    tolerance = await server.tolerance()
    for result in response.results:
        assert abs(result.raw_score - direct[result.index]) <= tolerance


async def test_the_same_question_has_the_same_answer(gateway: Asked) -> None:
    first, second = [await gateway.rerank() for _ in range(2)]

    assert [r.index for r in first.results] == [r.index for r in second.results]


async def test_a_probe_finds_it_ready_and_names_its_model(
    server: Server, gateway: Asked
) -> None:
    found = await gateway.check()

    assert found.available, found.message
    assert await gateway.state() == "READY"
    assert found.model
    # Of a path, only the name of the file is told.
    assert (await server.model()).rpartition("/")[2] == found.model.rpartition("/")[2]
    assert not found.model.startswith("/")
    response = await gateway.rerank()
    assert response.execution.model == found.model


@pytest.mark.needs_key
async def test_a_wrong_key_is_named_and_the_callers_order_stands(
    server: Server,
) -> None:
    wrong = "wrong-key-of-the-gateway"
    async with asking(server.kind, server.settings(), wrong) as gateway:
        response = await gateway.rerank()
        state = await gateway.state()

    assert_fell_back(response, "UNAUTHENTICATED")
    assert wrong not in str(response)
    assert state == "MISCONFIGURED"
