"""How one vendor spells a call for embeddings: data and pure functions, no I/O.

`gateway.retrieval.embedders.http` does everything that all of them have in common.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.backends.billing import TOKENS, Billing
from gateway.backends.dialect import Info, Refusal, bearer, no_words_of_its_own
from gateway.backends.errors import BackendError
from gateway.backends.reading import Json
from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Purpose


@dataclass(frozen=True, slots=True)
class Call:
    """What a vendor is to be asked."""

    texts: list[str]
    """At least one, none of them blank."""
    purpose: Purpose
    model: str
    """As configured; empty leaves the choice to the backend."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a successful answer says."""

    vectors: list[list[float]]
    """One per text, in the order of the call, finite and of one dimension."""
    model: str = ""
    """The model that the vendor names; empty: it names none."""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's spelling."""

    path: str
    """The embeddings endpoint below the base url."""
    encode: Callable[[Call], Json]
    """Call to body: exactly the vendor's fields, no superset."""
    decode: Callable[[Json, int], Decoded]
    """Body and number of texts to vectors. Raises `ContractBrokenError`."""
    usage: Callable[[Mapping[str, str]], Usage] | None = None
    """Headers of a successful answer (names in lower case) to what it cost; None: the
    body tells, if anything does."""
    refusal: Callable[[Refusal], BackendError | None] = no_words_of_its_own
    """What a refusal means where its status alone does not say it; else None."""
    credentials: Callable[[str], dict[str, str]] = bearer
    """Key to headers."""
    max_texts: int
    """In one call, until the backend tells otherwise."""
    max_in_flight: int
    """Calls at once for one list of texts, by default."""
    needs_model: bool = False
    """Without a model, every call would be refused."""
    info: Info | None = None
    billing: Billing = TOKENS
    """In which unit the vendor counts; of a server of one's own, what it reads."""
    home: str = ""
    """The vendor's own base url; empty where everybody runs their own server."""
