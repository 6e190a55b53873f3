"""One scorer for every vendor that speaks gRPC, over real sockets."""

import asyncio
import math
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from gateway.backends.dialects import GRPC_DIALECTS
from gateway.backends.endpoint import locate_grpc
from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    Internal,
    Malformed,
    OutOfTime,
    RateLimited,
    Rejected,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
    WrongScale,
)
from gateway.backends.facts import Facts
from gateway.backends.grpc import Caller, GrpcScorer, open_channel
from gateway.backends.grpc_dialect import GrpcDialect
from gateway.backends.posting import UNWATCHED, Wire
from gateway.backends.scorer import Usage
from gateway.concurrency import in_the_background
from gateway.discovery import Discovery, over_grpc
from gateway.events import BackendSilent, Event, FactsLearned
from gateway.layers.timeout import Timeout
from gateway.ranking.normalize import Scale
from tei.v1 import tei_pb2
from tests.backends import contract
from tests.e2e.vendor import Vendor, refusing_url
from tests.e2e.vendor import hang as http_hang
from tests.support.scorers import asking
from tests.support.tei_server import (
    Asked,
    Play,
    TeiServer,
    answer,
    certificate,
    hang,
    refuses,
    says,
    scored,
)
from tests.support.trusting import trusting
from tests.support.vendors import asking_for

pytestmark = pytest.mark.real_time

TEI = GRPC_DIALECTS["tei-grpc"]
SECRET = "the secret text of a document"
GOOD = scored(lambda text: len(text) / 1000)


@asynccontextmanager
async def scoring(
    url: str,
    *,
    key: str = "",
    wire: Wire = UNWATCHED,
    dialect: GrpcDialect = TEI,
) -> AsyncIterator[GrpcScorer]:
    """Build the scorer for a server, as the product does."""
    channel = open_channel(locate_grpc(url))
    try:
        yield GrpcScorer(
            name="v",
            dialect=dialect,
            channel=channel,
            metadata=dialect.credentials(key) if key else {},
            scale=dialect.scale or Scale.LOGIT,
            facts=Facts(max_documents=32, model="configured", fixed=True),
            model="configured",
            wire=wire,
        )
    finally:
        await channel.close()


@asynccontextmanager
async def over(
    play: Play, *, key: str = "", wire: Wire = UNWATCHED, dialect: GrpcDialect = TEI
) -> AsyncIterator[tuple[GrpcScorer, TeiServer]]:
    async with (
        TeiServer(play) as server,
        scoring(server.url, key=key, wire=wire, dialect=dialect) as scorer,
    ):
        yield scorer, server


async def failure(play: Play, count: int = 2) -> BackendError:
    """Ask a server that fails, and give what was raised."""
    async with over(play, key="test-api-key") as (scorer, _):
        with pytest.raises(BackendError) as raised:
            await scorer.score(asking(*([SECRET] * count), query=SECRET))
    return raised.value


# A good answer


@pytest.mark.parametrize(
    "clause",
    [
        each
        for each in (*contract.EVERY_SCORER, *contract.EVERY_POINTWISE_SCORER)
        # It counts the tasks of the server, too: see below.
        if each is not contract.a_caller_may_leave_at_any_moment
    ],
    ids=lambda clause: clause.__name__,
)
async def test_it_keeps_the_contract(clause: contract.Clause) -> None:
    async with over(GOOD) as (scorer, _):
        await clause(scorer)


async def test_texts_are_sent_to_the_character_with_a_key_and_a_deadline() -> None:
    texts = ["数据库 🗄️", 'quoted "and" \\ \u0000', "line\nbreak\u2028", "é"]
    async with over(GOOD, key="test-api-key") as (scorer, server):
        scores = await scorer.score(asking(*texts, query="où ?", within_s=5.0))
    (asked,) = server.received
    assert list(asked.request.texts) == texts
    assert asked.request.query == "où ?"
    assert asked.headers["authorization"] == "Bearer test-api-key"
    assert asked.headers["user-agent"].startswith("rerank-gateway ")
    assert asked.remaining_s is not None
    assert 4.0 < asked.remaining_s < 5.5
    assert scores.raw == pytest.approx([len(text) / 1000 for text in texts])
    assert (scores.backend, scores.model) == ("v", "configured")
    assert scores.scale is Scale.LOGIT
    assert scores.usage == Usage(tokens=56)


async def test_no_key_and_no_deadline_are_not_sent() -> None:
    async with over(GOOD) as (scorer, server):
        await scorer.score(replace(asking_for(1), deadline=math.inf))
    (asked,) = server.received
    assert "authorization" not in asked.headers
    # A server of gRPC calls it so.
    assert asked.remaining_s is None or asked.remaining_s > 1e6


async def test_a_large_request_is_sent_whole() -> None:
    text = "x" * 1_000_000
    async with over(scored(len)) as (scorer, server):
        scores = await scorer.score(asking(text, text, text, "y"))
    assert scores.raw == (1e6, 1e6, 1e6, 1.0)
    assert [len(each) for each in server.received[0].request.texts] == [
        1_000_000
    ] * 3 + [1]


async def test_one_connection_serves_all_calls() -> None:
    peers = set()

    async def play(asked: Asked) -> bytes:
        peers.add(asked.context.peer())
        return await GOOD(asked)

    async with over(play) as (scorer, _):
        await asyncio.gather(*(scorer.score(asking_for(3)) for _ in range(20)))
    assert len(peers) == 1


class _Noting:
    """A wire that remembers."""

    listens = True

    def __init__(self) -> None:
        self.seen: list[tuple[int | str, Mapping[str, str]]] = []

    def sending(self) -> Mapping[str, str]:
        return {"traceparent": "00-a-b-01"}

    def received(self, status: int | str, headers: Mapping[str, str]) -> None:
        self.seen.append((status, headers))


async def test_the_wire_gives_metadata_and_sees_every_end() -> None:
    noting = _Noting()
    async with over(GOOD, wire=noting) as (scorer, server):
        await scorer.score(asking_for(1))
        server.play = refuses("INTERNAL", SECRET)
        with pytest.raises(Unavailable):
            await scorer.score(asking_for(1))
    assert server.received[0].headers["traceparent"] == "00-a-b-01"
    (good, headers), (bad, _) = noting.seen
    assert (good, bad) == ("OK", "INTERNAL")
    assert headers["x-queue-time"] == "12"


# Statuses


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("CANCELLED", Unavailable),
        ("UNKNOWN", Unavailable),
        ("INVALID_ARGUMENT", Rejected),
        ("DEADLINE_EXCEEDED", TimedOut),
        ("NOT_FOUND", Unavailable),
        ("ALREADY_EXISTS", Rejected),
        ("PERMISSION_DENIED", Unauthenticated),
        ("RESOURCE_EXHAUSTED", RateLimited),
        ("FAILED_PRECONDITION", Unavailable),
        ("ABORTED", Unavailable),
        ("OUT_OF_RANGE", Rejected),
        ("UNIMPLEMENTED", Unavailable),
        ("INTERNAL", Unavailable),
        ("UNAVAILABLE", Unavailable),
        ("DATA_LOSS", Unavailable),
        ("UNAUTHENTICATED", Unauthenticated),
    ],
)
async def test_every_status_is_a_failure_and_its_words_are_nobodys(
    status: str, kind: type[BackendError]
) -> None:
    error = await failure(refuses(status, f"{SECRET} test-api-key"))
    assert type(error) is kind
    written = "".join(traceback.format_exception(error)) + repr(error)
    assert SECRET not in written
    assert "test-api-key" not in written
    assert str(error).startswith("v: ")
    # Neither may whoever follows the chain find them.
    assert error.__cause__ is None
    assert error.__context__ is None


def test_every_status_is_tried() -> None:
    (mark,) = (
        each
        for each in test_every_status_is_a_failure_and_its_words_are_nobodys.pytestmark  # type: ignore[attr-defined]  # a mark puts it there
        if each.name == "parametrize"
    )
    tried = {status for status, _ in mark.args[1]}
    assert tried == {code.name for code in grpc.StatusCode} - {"OK"}


async def test_a_server_that_ends_a_call_by_its_own_limit_is_slow() -> None:
    error = await failure(refuses("DEADLINE_EXCEEDED"))
    assert type(error) is TimedOut
    assert error.transient
    assert error.blames_backend


async def test_a_wrong_key_is_our_fault() -> None:
    async with (
        TeiServer(GOOD, key="another") as server,
        scoring(server.url, key="test-api-key") as scorer,
    ):
        with pytest.raises(Unauthenticated) as raised:
            await scorer.score(asking_for(1))
    assert raised.value.state is BackendState.MISCONFIGURED


async def test_a_message_beyond_the_bound_of_the_server_is_to_be_split() -> None:
    async with over(GOOD) as (scorer, server):
        with pytest.raises(TooLarge) as raised:
            await scorer.score(asking("x" * 5_000_000))
        assert not server.received
    error = raised.value
    assert (error.excess, error.limit) == (Excess.BYTES, 4 * 1024 * 1024)


# Answers


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (answer((0, 0.5)), "1 results for 2 documents"),
        (answer((0, 0.5), (0, 0.4)), "index 0 is there twice"),
        (answer((0, 0.5), (2, 0.4)), "an index is outside 0 to 1"),
        (answer((0, 0.5), (1, math.nan)), "not finite"),
        (b"", "0 results for 2 documents"),
        (b"<html>", "the answer is no tei.v1.RerankResponse"),
        (b"x" * (4 * 1024 * 1024 + 1), "an answer of over 4194304 bytes"),
    ],
    ids=["few", "twice", "outside", "nan", "empty", "html", "large"],
)
async def test_an_answer_that_breaks_its_contract(message: bytes, words: str) -> None:
    error = await failure(says(message))
    assert type(error) is Malformed
    assert words in str(error)
    assert not error.transient
    assert error.blames_backend


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async def play(asked: Asked) -> bytes:
        asked.context.set_compression(grpc.Compression.Gzip)
        return answer((0, 0.5))

    accepted = []

    async def noting(asked: Asked) -> bytes:
        accepted.append(asked.headers.get("grpc-accept-encoding", "identity"))
        return await play(asked)

    async with over(noting) as (scorer, _):
        scores = await scorer.score(asking_for(1))
    # It is told that we take none, and so it does not compress.
    assert accepted == ["identity"]
    assert scores.raw == (0.5,)


async def test_a_number_that_its_scale_cannot_have() -> None:
    strict = replace(TEI, scale=Scale.PROBABILITY)
    async with over(says(answer((0, 7.5))), dialect=strict) as (scorer, _):
        with pytest.raises(WrongScale):
            await scorer.score(asking_for(1))


async def test_a_bug_of_ours_is_told_by_its_place_alone() -> None:
    def broken(_: object) -> bytes:
        raise ValueError(SECRET)

    async with over(GOOD, dialect=replace(TEI, encode=broken)) as (scorer, _):
        with pytest.raises(Internal, match="a bug: ValueError at test_grpc") as raised:
            await scorer.score(asking_for(1))
    assert SECRET not in str(raised.value)


# Connections


async def test_nobody_listens() -> None:
    with refusing_url() as url:
        async with scoring(url.replace("http", "grpc")) as scorer:
            with pytest.raises(Unavailable, match="v: no connection") as raised:
                await scorer.score(asking_for(1))
    assert raised.value.transient
    assert raised.value.blames_backend


async def test_a_server_that_speaks_http_alone_is_no_connection() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, scoring(f"grpc://127.0.0.1:{port}") as scorer:
        with pytest.raises(Unavailable, match="no connection"):
            await scorer.score(asking_for(1))


async def test_a_server_that_resets_every_connection() -> None:
    async with Vendor(http_hang) as vendor:
        vendor.resets_at_accept = True
        async with scoring(vendor.url.replace("http", "grpc")) as scorer:
            with pytest.raises(Unavailable):
                await scorer.score(asking_for(1))


async def test_a_server_that_dies_in_the_middle_of_a_call() -> None:
    async with over(hang) as (scorer, server):
        asked = asyncio.ensure_future(scorer.score(asking_for(1)))
        await server.until(lambda: server.in_progress == 1)
        await server.stop()
        with pytest.raises(Unavailable):
            await asked


async def test_a_server_that_comes_back_is_asked_within_a_second_or_two() -> None:
    async with TeiServer(GOOD) as first, scoring(first.url) as scorer:
        await scorer.score(asking_for(1))
        await first.stop()
        loop = asyncio.get_running_loop()
        for _ in range(20):  # each of them would double gRPC's own wait
            with pytest.raises(Unavailable):
                await scorer.score(asking_for(1))
            await asyncio.sleep(0.1)
        async with TeiServer(GOOD, port=first.port) as second:
            began = loop.time()
            while not second.received:
                with suppress(Unavailable):
                    await scorer.score(asking_for(1))
                await asyncio.sleep(0.05)
            assert loop.time() - began < 5


async def test_a_closed_channel_is_a_backend_that_is_unavailable() -> None:
    async with over(GOOD) as (scorer, _):
        pass
    with pytest.raises(Unavailable, match=r"no answer \(UsageError\)"):
        await scorer.score(asking_for(1))


async def test_a_channel_that_is_closed_ends_its_calls() -> None:
    async with TeiServer(hang) as server:
        async with scoring(server.url) as scorer:
            asked = asyncio.ensure_future(scorer.score(asking_for(1)))
            await server.until(lambda: server.in_progress == 1)
        await asyncio.wait([asked], timeout=5)
        assert asked.done()
        await server.until(lambda: server.abandoned == 1)


# Time


async def test_who_leaves_cancels_the_call_there_and_leaves_nothing() -> None:
    async with over(hang) as (scorer, server):
        for moments in range(8):
            asked = asyncio.ensure_future(scorer.score(asking_for(1)))
            for _ in range(moments):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()
        asked = asyncio.ensure_future(scorer.score(asking_for(1)))
        await server.until(lambda: server.in_progress >= 1)
        asked.cancel()
        await server.until(lambda: not server.in_progress)
        assert server.abandoned >= 1
        server.play = GOOD
        assert (await scorer.score(asking_for(1))).complete


async def test_the_limit_of_an_attempt_ends_the_call_there_and_is_to_blame() -> None:
    async with over(hang) as (scorer, server):
        limited = Timeout(scorer, backend="v", attempt_s=0.2, fair_s=0.1)
        with pytest.raises(TimedOut) as raised:
            await limited.score(asking_for(1))
        assert type(raised.value) is TimedOut
        assert raised.value.blames_backend
        await server.until(lambda: server.abandoned == 1)


async def test_the_callers_deadline_is_told_by_who_knows_what_was_fair() -> None:
    async with over(hang) as (scorer, server):
        limited = Timeout(scorer, backend="v", attempt_s=9.0, fair_s=0.1)
        with pytest.raises(OutOfTime) as raised:
            await limited.score(asking("a", within_s=0.3))
        # gRPC's own deadline comes later, and could not know it.
        assert raised.value.blames_backend
        await server.until(lambda: server.abandoned == 1)


async def test_without_any_other_bound_the_deadline_ends_it() -> None:
    async with over(hang) as (scorer, _):
        with pytest.raises(OutOfTime) as raised:
            await scorer.score(asking("a", within_s=0.1))
    assert not raised.value.blames_backend


# TLS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


async def test_a_server_that_is_trusted_is_asked_over_tls(
    files: tuple[Path, Path],
) -> None:
    with trusting(files[0]):
        async with (
            TeiServer(GOOD, certificate=files, key="test-api-key") as server,
            scoring(server.url, key="test-api-key") as scorer,
        ):
            assert server.url.startswith("grpcs://")
            assert (await scorer.score(asking_for(2))).complete


async def test_a_server_that_nobody_vouches_for_is_not_asked(
    files: tuple[Path, Path],
) -> None:
    async with (
        TeiServer(GOOD, certificate=files) as server,
        scoring(server.url, key="test-api-key") as scorer,
    ):
        with pytest.raises(Unavailable, match="no connection"):
            await scorer.score(asking_for(2))
        assert not server.received


# What it tells about itself


@asynccontextmanager
async def discovering(server: TeiServer) -> AsyncIterator[tuple[Facts, list[Event]]]:
    assert TEI.info
    facts = Facts(max_documents=32, model="configured", fixed=False)
    told: list[Event] = []
    changed = asyncio.Event()

    def tell(event: Event) -> None:
        told.append(event)
        changed.set()

    channel = open_channel(locate_grpc(server.url))
    caller = Caller(
        backend="v",
        channel=channel,
        method=TEI.info.method,
        metadata=TEI.credentials("test-api-key"),
        refusal=TEI.refusal,
    )
    discovery = Discovery(
        backend="v", ask=over_grpc(TEI.info, caller=caller), facts=facts, emit=tell
    )
    async with in_the_background(discovery.run()):
        async with asyncio.timeout(20):
            await changed.wait()
        yield facts, told
    await channel.close()


async def test_it_is_asked_about_itself_with_its_key() -> None:
    info = tei_pb2.InfoResponse(model_id="bge", max_client_batch_size=64)
    async with (
        TeiServer(GOOD, info=info, key="test-api-key") as server,
        discovering(server) as (facts, told),
    ):
        assert told == [FactsLearned("v", "bge", 64)]
        assert (facts.model, facts.max_documents) == ("bge", 64)
        assert server.infos[0]["authorization"] == "Bearer test-api-key"


@pytest.mark.parametrize(
    ("key", "words"),
    [("another", "gRPC UNAUTHENTICATED"), ("", "gRPC UNIMPLEMENTED")],
)
async def test_a_server_that_does_not_tell_is_silent(key: str, words: str) -> None:
    async with (
        TeiServer(GOOD, key=key) as server,
        discovering(server) as (facts, told),
    ):
        assert told == [BackendSilent("v", words)]
        assert (facts.model, facts.max_documents) == ("configured", 32)
