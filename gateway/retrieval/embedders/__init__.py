"""One file per vendor, one line each here; one file per effect around them.

Only the dialects are imported here, so that settings can name them without numpy.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.retrieval.embedders import cohere, openai, tei
from gateway.retrieval.embedders.dialect import Dialect

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "cohere": cohere.DIALECT,
        "openai": openai.DIALECT,
        "tei": tei.DIALECT,
    }
)
"""What `embedder.dialect` may say, beside the built-in `local`."""
