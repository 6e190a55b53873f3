"""How vendors count what they bill, and what a call will probably cost in that unit.

An estimate is made before a call, from nothing but texts, so it is rather too high than too
low: what is kept back for a call must be enough for it. What the vendor says afterwards
replaces it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from gateway.backends.scorer import Usage

Unit = Literal["calls", "search_units", "tokens"]

# English has four bytes of UTF-8 to a token, Chinese about three to a character, which is a
# token or less: a third of the bytes is enough for both.
_BYTES_PER_TOKEN = 3
# A document that is longer, with its query, counts as several.
_TOKENS_PER_CHUNK = 500
# Long documents are cut at so many tokens by default.
_MOST_TOKENS = 4096
_CHUNKS_PER_UNIT = 100


@dataclass(frozen=True, slots=True)
class Billing:
    """In which unit a vendor counts, beside calls."""

    unit: Unit
    """`calls`: in no other."""
    estimate: Callable[[str, Iterable[str]], Usage]
    """What a call with this query and these documents will cost."""


def _nothing(_: str, __: Iterable[str]) -> Usage:
    return Usage()


def _search_units(query: str, documents: Iterable[str]) -> Usage:
    """Count a hundred documents as one unit, long ones as several documents."""
    own = tokens_in(query)
    chunks = sum(
        -(-min(own + tokens_in(each), _MOST_TOKENS) // _TOKENS_PER_CHUNK) or 1
        for each in documents
    )
    return Usage(search_units=float(-(-chunks // _CHUNKS_PER_UNIT)))


def _tokens(query: str, documents: Iterable[str]) -> Usage:
    """Count all tokens that are read: the query's once for each document."""
    own = tokens_in(query)
    return Usage(tokens=sum(own + tokens_in(each) for each in documents))


def tokens_in(text: str) -> int:
    """Estimate the tokens of a text."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // _BYTES_PER_TOKEN)


CALLS: Final = Billing("calls", _nothing)
"""Who runs a server of their own pays for no unit; a call may have a price all the same."""
SEARCH_UNITS: Final = Billing("search_units", _search_units)
"""Cohere's search units and Pinecone's rerank units: a query with up to 100 documents."""
TOKENS: Final = Billing("tokens", _tokens)
"""Voyage's and Jina's total tokens, and what TEI, vLLM and llama.cpp say that they read."""
