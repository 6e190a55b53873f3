"""HuggingFace Text Embeddings Inference, over gRPC: its images tagged `-grpc`.

Read in its router (1.9.3): the same texts, numbers and words as over HTTP. Different are
that `truncate` is false unless it is sent, whatever the server's own default is, and that
a call for which there is no room waits there instead of being refused: how long, and how
many, is for us to bound.
"""

import re

from google.protobuf.message import DecodeError

from gateway.backends import reading
from gateway.backends.billing import TOKENS
from gateway.backends.dialect import Call, Decoded
from gateway.backends.dialects import tei
from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.grpc_dialect import GrpcDialect, GrpcInfo, GrpcRefusal
from gateway.backends.reading import ContractBrokenError
from tei.v1 import tei_pb2

_NO_RERANKER = re.compile(r"model is not a (?:re-ranker|classifier) model")
_CHARACTERS = re.compile(r"must have less than \d{1,12} characters")


def encode(call: Call) -> bytes:
    """Ask for logits, and let long pairs be cut at their end, as over HTTP."""
    return tei_pb2.RerankRequest(
        query=call.query,
        texts=call.texts,
        truncate=True,
        raw_scores=True,
    ).SerializeToString()


def decode(message: bytes, count: int) -> Decoded:
    """Read the ranks, which come best first.

    In protobuf an index of 0 and a score of 0.0 look like none at all: that each index is
    there once is all that tells.
    """
    answer = tei_pb2.RerankResponse()
    _parse(answer, message, "the answer")
    ranks = [(rank.index, rank.score) for rank in answer.ranks]
    return Decoded(
        raw=reading.by_pairs(ranks, count=count),
        usage=reading.usage(tokens=answer.metadata.compute_tokens),
    )


def refusal(ended: GrpcRefusal) -> BackendError | None:
    """Tell apart what a status is used for: each for several things."""
    backend, words = ended.backend, ended.words
    if ended.status == "INVALID_ARGUMENT":
        if _CHARACTERS.search(words):
            return TooLarge(backend, Excess.TOKENS)
        return tei.excess(backend, words)
    if ended.status == "RESOURCE_EXHAUSTED" and words == "Model is overloaded":
        return RateLimited(backend, "its queue is full")
    if ended.status == "FAILED_PRECONDITION":
        return _failed(backend, words)
    return None


def _failed(backend: str, words: str) -> BackendError:
    if _NO_RERANKER.fullmatch(words):
        rejected = Rejected(backend, "its model is not a reranker")
        rejected.state = BackendState.MISCONFIGURED
        return rejected
    if words.startswith("tokenizer error"):
        return Rejected(backend, "its tokenizer failed")
    return Unavailable(backend, "its inference failed")


def read_info(message: bytes, facts: Facts) -> None:
    """Read the model served, and how many texts one call may bring."""
    told = tei_pb2.InfoResponse()
    _parse(told, message, "the info")
    facts.learn_max_documents(told.max_client_batch_size)
    facts.learn_model(told.model_id)
    facts.learn_revision(told.model_sha)


def _parse(
    into: tei_pb2.RerankResponse | tei_pb2.InfoResponse, message: bytes, what: str
) -> None:
    try:
        into.ParseFromString(message)
    except DecodeError as error:
        broken = f"{what} is no {into.DESCRIPTOR.full_name}"
        raise ContractBrokenError(broken) from error


DIALECT = GrpcDialect(
    method="/tei.v1.Rerank/Rerank",
    encode=encode,
    decode=decode,
    refusal=refusal,
    scale=tei.DIALECT.scale,
    max_documents=tei.DIALECT.max_documents,
    max_in_flight=tei.DIALECT.max_in_flight,
    billing=TOKENS,
    info=GrpcInfo(method="/tei.v1.Info/Info", read=read_info),
)
