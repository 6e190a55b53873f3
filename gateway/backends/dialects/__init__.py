"""One file per vendor, one line each here."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.backends.dialect import Dialect
from gateway.backends.dialects import (
    cohere,
    infinity,
    jina,
    llamacpp,
    nim,
    pinecone,
    simple,
    tei,
    tei_grpc,
    vllm,
    voyage,
)
from gateway.backends.grpc_dialect import GrpcDialect

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "cohere-v1": cohere.V1,
        "cohere-v2": cohere.V2,
        "infinity": infinity.DIALECT,
        "jina": jina.DIALECT,
        "llamacpp": llamacpp.DIALECT,
        "nim": nim.DIALECT,
        "pinecone": pinecone.DIALECT,
        "simple": simple.DIALECT,
        "tei": tei.DIALECT,
        "vllm": vllm.DIALECT,
        "voyage": voyage.DIALECT,
    }
)
"""What `backends.NAME.dialect` may say, beside the built-in `local` and those below."""

GRPC_DIALECTS: Mapping[str, GrpcDialect] = MappingProxyType(
    {
        "tei-grpc": tei_grpc.DIALECT,
    }
)
"""The same for vendors that are spoken to in gRPC."""
