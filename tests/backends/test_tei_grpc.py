"""HuggingFace Text Embeddings Inference, over gRPC: what is sent, and what answers mean."""

import struct
from dataclasses import dataclass

import pytest

from gateway.backends.dialect import Call
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.grpc_dialect import GrpcRefusal
from gateway.backends.grpc_status import by_status
from gateway.backends.reading import ContractBrokenError
from gateway.ranking.normalize import Scale
from tei.v1 import tei_pb2
from tests.support.tei_server import answer

TEI = GRPC_DIALECTS["tei-grpc"]
SECRET = "the secret text of a document"


# What is asked


def test_it_is_asked_for_logits_of_texts_that_may_be_cut() -> None:
    call = Call(
        query="What is Deep Learning?",
        texts=["Deep Learning is not...", "数据库 🗄️"],
        model="m",
        scale=Scale.LOGIT,
        instruction="be kind",
    )
    sent = tei_pb2.RerankRequest.FromString(TEI.encode(call))
    assert sent == tei_pb2.RerankRequest(
        query="What is Deep Learning?",
        texts=["Deep Learning is not...", "数据库 🗄️"],
        truncate=True,
        raw_scores=True,
    )
    assert sent.truncation_direction == tei_pb2.TRUNCATION_DIRECTION_RIGHT


def test_it_is_bounded_and_scaled_as_over_http() -> None:
    http = DIALECTS["tei"]
    for name in ("scale", "max_documents", "max_in_flight", "max_tokens", "home"):
        assert getattr(TEI, name) == getattr(http, name)


def test_the_messages_have_the_numbers_that_the_vendor_gave_them() -> None:
    """Written by hand after proto/tei.proto: generated code would agree with itself."""
    request = tei_pb2.RerankRequest(
        query="q", texts=["t"], truncate=True, raw_scores=True
    )
    assert request.SerializeToString() == (
        b"\x0a\x01q"  # query = 1
        b"\x12\x01t"  # texts = 2
        b"\x18\x01"  # truncate = 3
        b"\x20\x01"  # raw_scores = 4
    )
    rank = b"\x08\x01" + b"\x1d" + struct.pack("<f", 2.5)  # index = 1, score = 3
    other = b"\x1d" + struct.pack("<f", -1.5)  # an index of 0 is not written
    cost = b"\x10\x07"  # compute_tokens = 2
    written = b"\x0a\x07" + rank + b"\x0a\x05" + other + b"\x12\x02" + cost
    decoded = TEI.decode(written, 2)
    assert decoded.raw == (-1.5, 2.5)
    assert decoded.usage.tokens == 7
    info = tei_pb2.InfoResponse.FromString(b"\x22\x01m\x60\x40")
    assert (info.model_id, info.max_client_batch_size) == ("m", 64)


# What is answered


def test_ranks_come_best_first_and_are_paired_by_index() -> None:
    assert TEI.decode(answer((2, 1.0), (0, 1.0), (1, -1.0)), 3).raw == (1.0, -1.0, 1.0)


def test_a_score_and_an_index_of_zero_are_as_good_as_any() -> None:
    assert TEI.decode(answer((0, 0.0)), 1).raw == (0.0,)
    assert TEI.decode(answer((1, 0.0), (0, -2.0)), 2).raw == (-2.0, 0.0)


def test_what_else_an_answer_says_does_not_matter() -> None:
    # Text of the document, and a field that is not known here.
    rank = tei_pb2.Rank(index=0, text=SECRET, score=0.5).SerializeToString()
    message = b"\x0a" + bytes([len(rank)]) + rank + b"\x9a\x06\x01x"
    assert TEI.decode(message, 1).raw == (0.5,)


@pytest.mark.parametrize(
    ("message", "count", "words"),
    [
        (b"", 2, "0 results for 2 documents"),
        (answer((0, 0.5)), 2, "1 results for 2 documents"),
        (answer((0, 0.5), (1, 0.4), (2, 0.3)), 2, "3 results for 2 documents"),
        (answer((0, 0.5), (1, 0.4), (0, 0.3)), 2, "3 results for 2 documents"),
        (answer((0, 0.5), (0, 0.4)), 2, "index 0 is there twice"),
        # As if nothing was written into them.
        (answer((0, 0.0), (0, 0.0)), 2, "index 0 is there twice"),
        (answer((1, 0.5), (2, 0.4)), 2, "an index is outside 0 to 1"),
        (answer((0, 0.5), (2**32 - 1, 0.4)), 2, "an index is outside 0 to 1"),
        (answer((0, 0.5), (1, float("nan"))), 2, "score of 1 is not finite"),
        (answer((0, 0.5), (1, float("inf"))), 2, "score of 1 is not finite"),
        (answer((0, 0.5), (1, float("-inf"))), 2, "score of 1 is not finite"),
        (b"<html>", 1, "the answer is no tei.v1.RerankResponse"),
        (b'[{"index":0,"score":1}]', 1, "the answer is no tei.v1.RerankResponse"),
        (answer((0, 0.5), (1, 0.4))[:-1], 2, "the answer is no tei.v1.RerankResponse"),
        (b"\x0a\xff\xff\xff\xff\x0f", 1, "the answer is no tei.v1.RerankResponse"),
    ],
)
def test_an_answer_that_cannot_be_paired_is_refused(
    message: bytes, count: int, words: str
) -> None:
    with pytest.raises(ContractBrokenError, match=words):
        TEI.decode(message, count)


# What a refusal means


def meant(status: str, words: str = "") -> BackendError:
    refusal = GrpcRefusal("v", status, words)
    error = TEI.refusal(refusal) or by_status(refusal)
    assert str(error).startswith("v: ")
    return error


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal is to whoever decides what comes next."""

    kind: type[BackendError]
    transient: bool
    blames: bool
    state: BackendState


DOWN = Meaning(Unavailable, transient=True, blames=True, state=BackendState.UNREACHABLE)
ELSEWHERE = Meaning(
    Unavailable, transient=False, blames=True, state=BackendState.MISCONFIGURED
)
REFUSED = Meaning(Rejected, transient=False, blames=False, state=BackendState.DEGRADED)
NO_RERANKER = Meaning(
    Rejected, transient=False, blames=False, state=BackendState.MISCONFIGURED
)
OUR_KEY = Meaning(
    Unauthenticated, transient=False, blames=False, state=BackendState.MISCONFIGURED
)
FULL = Meaning(RateLimited, transient=True, blames=False, state=BackendState.DEGRADED)


@pytest.mark.parametrize(
    ("status", "words", "meaning"),
    [
        # As the router writes them
        ("INVALID_ARGUMENT", "`texts` cannot be empty", REFUSED),
        (
            "INVALID_ARGUMENT",
            "Input validation error: `inputs` cannot be empty",
            REFUSED,
        ),
        ("FAILED_PRECONDITION", "Backend error: Inference failed", DOWN),
        ("FAILED_PRECONDITION", "score is NaN", DOWN),
        ("FAILED_PRECONDITION", "tokenizer error x", REFUSED),
        ("FAILED_PRECONDITION", "model is not a re-ranker model", NO_RERANKER),
        # As it says of a model that makes embeddings
        ("FAILED_PRECONDITION", "model is not a classifier model", NO_RERANKER),
        ("RESOURCE_EXHAUSTED", "Model is overloaded", FULL),
        ("UNAUTHENTICATED", "No valid auth token", OUR_KEY),
        # As whatever stands before it may
        ("PERMISSION_DENIED", "", OUR_KEY),
        ("RESOURCE_EXHAUSTED", "", FULL),
        ("UNAVAILABLE", "unhealthy", DOWN),
        ("CANCELLED", "Timeout expired", DOWN),
        ("UNKNOWN", "", DOWN),
        ("INTERNAL", "", DOWN),
        ("ABORTED", "", DOWN),
        ("DATA_LOSS", "", DOWN),
        ("UNIMPLEMENTED", "", ELSEWHERE),
        ("NOT_FOUND", "", ELSEWHERE),
        ("INVALID_ARGUMENT", "", REFUSED),
        ("ALREADY_EXISTS", "", REFUSED),
        ("OUT_OF_RANGE", "", REFUSED),
    ],
)
def test_what_its_refusals_mean(status: str, words: str, meaning: Meaning) -> None:
    error = meant(status, words)
    assert meaning == Meaning(
        type(error),
        transient=error.transient,
        blames=error.blames_backend,
        state=error.state,
    )
    assert not words or words not in str(error)


_TONIC = "message length too large: found 5242880 bytes, the limit is: 4194304 bytes"
BATCH = "batch size 33 > maximum allowed batch size 32"
LENGTH = "Input validation error: `inputs` must have less than 512 tokens. Given: 534"
CHARACTERS = "`inputs` must have less than 128000 characters. Given: 130000"


@pytest.mark.parametrize(
    ("status", "words", "excess", "given", "limit"),
    [
        ("INVALID_ARGUMENT", BATCH, Excess.DOCUMENTS, 33, 32),
        ("INVALID_ARGUMENT", LENGTH, Excess.TOKENS, 534, 512),
        ("INVALID_ARGUMENT", CHARACTERS, Excess.TOKENS, None, None),
        # Of tonic 0.11, which it is built with, and of later ones
        (
            "OUT_OF_RANGE",
            f"Error, {_TONIC}",
            Excess.BYTES,
            5242880,
            4194304,
        ),
        (
            "OUT_OF_RANGE",
            f"Error, decoded {_TONIC}",
            Excess.BYTES,
            5242880,
            4194304,
        ),
        # Of a proxy in C++, and of one in Go
        (
            "RESOURCE_EXHAUSTED",
            "SERVER: Received message larger than max (5242880 vs. 4194304)",
            Excess.BYTES,
            5242880,
            4194304,
        ),
        (
            "RESOURCE_EXHAUSTED",
            "grpc: received message larger than max (5242880 vs. 4194304)",
            Excess.BYTES,
            5242880,
            4194304,
        ),
    ],
)
def test_what_is_too_large_names_its_bound(
    status: str, words: str, excess: Excess, given: int | None, limit: int | None
) -> None:
    error = meant(status, words)
    assert isinstance(error, TooLarge)
    assert (error.excess, error.given, error.limit) == (excess, given, limit)


def test_an_answer_too_long_for_us_is_not_our_fault() -> None:
    error = meant(
        "RESOURCE_EXHAUSTED",
        "Stream removed (CLIENT: Received message larger than max (5242880 vs. 4194304))",
    )
    assert type(error) is Malformed
    assert "4194304 bytes" in str(error)


# What it tells about itself


def test_its_info_names_the_model_and_the_size_of_a_batch() -> None:
    assert TEI.info
    facts = Facts(max_documents=32, model="", fixed=False)
    TEI.info.read(
        tei_pb2.InfoResponse(
            model_id="BAAI/bge-reranker-v2-m3",
            model_sha="abc",
            max_client_batch_size=64,
            max_concurrent_requests=512,
        ).SerializeToString(),
        facts,
    )
    assert (facts.model, facts.revision) == ("BAAI/bge-reranker-v2-m3", "abc")
    assert facts.max_documents == 64


def test_what_its_info_does_not_tell_stays_as_it_was() -> None:
    assert TEI.info
    facts = Facts(max_documents=32, model="m", fixed=False)
    TEI.info.read(b"", facts)
    assert (facts.model, facts.max_documents) == ("m", 32)


def test_an_info_that_is_none_is_refused() -> None:
    assert TEI.info
    facts = Facts(max_documents=32, model="m", fixed=False)
    with pytest.raises(ContractBrokenError, match=r"the info is no tei.v1.InfoResp"):
        TEI.info.read(b"<html>", facts)
