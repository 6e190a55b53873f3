"""Calls from threads, over real sockets: deadlines, metadata, repeats, and ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from played import (
    PATIENCE_S,
    Played,
    an_address,
    hang,
    invalid,
    serving,
    unavailable,
)

from rerank_client import (
    DeadlineExceeded,
    InvalidRequest,
    RerankClient,
    RerankError,
    Unavailable,
)
from rerank_client.types import Document, RerankRequest


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def address(played: Played) -> Iterator[str]:
    with serving(played) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[RerankClient]:
    with RerankClient(address) as client:
        yield client


def requests(count: int) -> list[RerankRequest]:
    return [
        RerankRequest(query=f"q{place}", documents=[Document(text="a")])
        for place in range(count)
    ]


# Deadlines


def test_every_call_has_a_deadline_of_its_kind(
    played: Played, client: RerankClient
) -> None:
    client.rerank("q", ["a"])
    client.delete_documents(["a"])
    list(client.search_progressive("q"))
    list(client.rerank_batch([]))
    assert [round(call.remaining_s, -1) for call in played.calls] == [10, 30, 10, 600]


def test_the_client_and_each_call_can_have_their_own_deadline(
    played: Played, address: str
) -> None:
    with RerankClient(address, timeout_s=50, stream_timeout_s=300) as client:
        client.rerank("q", ["a"])
        client.delete_documents(["a"])
        list(client.rerank_batch([]))
        client.rerank("q", ["a"], timeout_s=100)
        list(client.rerank_batch([], timeout_s=200))
    left = [round(call.remaining_s, -1) for call in played.calls]
    assert left == [50, 50, 300, 100, 200]


def test_a_deadline_that_passes_is_an_error_and_a_timeout(
    played: Played, client: RerankClient
) -> None:
    played.behaviours = [hang]
    with pytest.raises(DeadlineExceeded) as raised:
        client.rerank("q", ["a"], timeout_s=0.2)
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.reason == ""


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
def test_no_call_goes_without_a_deadline(
    client: RerankClient, timeout_s: float
) -> None:
    with pytest.raises(ValueError, match="above 0"):
        client.rerank("q", ["a"], timeout_s=timeout_s)
    with pytest.raises(ValueError, match="above 0"):
        RerankClient("localhost:1", timeout_s=timeout_s)


# Metadata


def test_a_token_and_more_metadata_go_with_every_call(
    played: Played, address: str
) -> None:
    with RerankClient(
        address, token="secret", metadata=lambda: {"x-tenant": "a"}
    ) as client:
        client.rerank("q", ["a"])
        list(client.rerank_batch([]))
    for call in played.calls:
        assert call.metadata["authorization"] == "Bearer secret"
        assert call.metadata["x-tenant"] == "a"


def test_without_a_token_there_is_no_authorization(
    played: Played, client: RerankClient
) -> None:
    client.rerank("q", ["a"])
    assert "authorization" not in played.calls[0].metadata


# Repeats


def test_a_call_that_fails_once_for_a_moment_is_repeated(
    played: Played, client: RerankClient
) -> None:
    played.behaviours = [unavailable]
    assert client.rerank("q", ["a"]).message == "q"
    assert len(played.calls) == 2


def test_repeats_are_bounded(played: Played, client: RerankClient) -> None:
    played.behaviours = [unavailable] * 9
    with pytest.raises(Unavailable):
        client.rerank("q", ["a"])
    assert len(played.calls) == 4


def test_a_faulty_request_is_not_repeated(played: Played, client: RerankClient) -> None:
    played.behaviours = [invalid]
    with pytest.raises(InvalidRequest):
        client.rerank("q", ["a"])
    assert len(played.calls) == 1


def test_what_is_not_safe_to_repeat_is_not_repeated(
    played: Played, client: RerankClient
) -> None:
    played.behaviours = [unavailable]
    with pytest.raises(Unavailable):
        client.create_collection("papers")
    assert len(played.calls) == 1


def test_a_call_waits_for_a_gateway_that_comes_up_late(played: Played) -> None:
    with (
        an_address() as address,
        RerankClient(
            address, channel_options=[("grpc.initial_reconnect_backoff_ms", 100)]
        ) as client,
        ThreadPoolExecutor() as pool,
    ):
        refused = threading.Event()

        def changed(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                refused.set()

        client._calls.channel.subscribe(changed, try_to_connect=True)
        answer = pool.submit(client.rerank, "q", ["a"], timeout_s=PATIENCE_S)
        assert refused.wait(PATIENCE_S)
        with serving(played, address):
            assert answer.result().message == "q"
            client._calls.channel.unsubscribe(changed)


def test_an_answer_may_be_as_large_as_a_request(client: RerankClient) -> None:
    query = "q" * 32 * 1024 * 1024
    assert len(client.rerank(query, ["a"]).message) == len(query)


# Streams


def test_a_batch_is_answered_one_by_one(client: RerankClient) -> None:
    answers = list(client.rerank_batch(requests(20)))
    seen = {each.request_id: each.response.message for each in answers}
    assert seen == {str(place): f"q{place}" for place in range(20)}


def test_a_batch_is_read_as_it_is_answered(client: RerankClient) -> None:
    answered = threading.Event()

    def batch() -> Iterator[RerankRequest]:
        first, second = requests(2)
        yield first
        assert answered.wait(PATIENCE_S)
        yield second

    answers = client.rerank_batch(batch())
    assert next(answers).response.message == "q0"
    answered.set()
    assert next(answers).response.message == "q1"


def test_a_stream_that_is_left_ends_at_the_gateway(
    played: Played, client: RerankClient
) -> None:
    for _ in client.search_progressive("hang"):
        break
    assert played.calls[0].over.wait(PATIENCE_S)


def test_a_batch_that_is_left_ends_at_the_gateway(
    played: Played, client: RerankClient
) -> None:
    left = threading.Event()

    def batch() -> Iterator[RerankRequest]:
        yield from requests(1)
        left.wait(PATIENCE_S)

    answers = client.rerank_batch(batch())
    next(answers)
    answers.close()
    assert played.calls[0].over.wait(PATIENCE_S)
    left.set()


@pytest.mark.parametrize("sent", [0, 1])
def test_a_batch_that_cannot_be_read_raises_its_own_error(
    played: Played, client: RerankClient, sent: int, caplog: pytest.LogCaptureFixture
) -> None:
    def batch() -> Iterator[RerankRequest]:
        yield from requests(sent)
        played.reached.wait(PATIENCE_S)
        raise KeyError("private")

    with pytest.raises(KeyError, match="private"):
        list(client.rerank_batch(batch()))
    assert played.calls[0].over.wait(PATIENCE_S)
    assert not caplog.records


def test_an_error_of_a_stream_is_typed(played: Played, client: RerankClient) -> None:
    played.behaviours = [invalid]
    with pytest.raises(InvalidRequest):
        list(client.rerank_batch(requests(1)))


def test_documents_are_imported_in_batches(
    played: Played, client: RerankClient
) -> None:
    documents = [{"id": str(place), "text": "a"} for place in range(250)]
    answers = list(client.import_documents(documents, collection="papers"))
    assert [each.batch_id for each in answers] == ["0", "100", "200"]
    assert [each.accepted_count for each in answers] == [100, 100, 50]
    assert {each.collection for each in played.batches} == {"papers"}


def test_pages_follow_each_other(played: Played, client: RerankClient) -> None:
    documents = client.documents(collection="papers", return_embeddings=True)
    assert next(documents).id == "a"
    assert len(played.listings) == 1
    assert [each.id for each in documents] == ["b", "c"]
    assert [each.page_token for each in played.listings] == ["", "2", "3"]
    assert {each.collection for each in played.listings} == {"papers"}
    assert all(each.return_embeddings for each in played.listings)


# Ends


def test_closing_cancels_what_is_open(played: Played, address: str) -> None:
    played.behaviours = [hang]
    client = RerankClient(address)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(client.rerank, "q", ["a"], timeout_s=PATIENCE_S)
        assert played.reached.wait(PATIENCE_S)
        client.close()
        with pytest.raises(RerankError) as raised:
            answer.result()
    assert raised.value.code is grpc.StatusCode.CANCELLED
    assert played.calls[0].over.wait(PATIENCE_S)


def test_a_client_is_shared_by_threads(played: Played, client: RerankClient) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = pool.map(lambda place: client.rerank(f"q{place}", ["a"]), range(40))
        assert [each.message for each in answers] == [f"q{n}" for n in range(40)]
    assert len(played.calls) == 40


def test_the_token_is_in_no_repr() -> None:
    with RerankClient("localhost:1", token="secret") as client:
        assert "secret" not in repr(client) + repr(client._calls._connection)
