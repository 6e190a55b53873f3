"""How one vendor spells a rerank call: data and pure functions, no I/O.

A vendor is one file in `gateway/backends/dialects/`, one line in its `__init__.py`, and
fixtures. `gateway.backends.http` does everything that all of them have in common.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.backends.billing import CALLS, Billing
from gateway.backends.errors import BackendError
from gateway.backends.facts import Facts
from gateway.backends.reading import Json
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale


@dataclass(frozen=True, slots=True)
class Call:
    """What a vendor is to be asked."""

    query: str
    texts: list[str]
    """At least one, none of them blank."""
    model: str
    """As configured; empty leaves the choice to the backend."""
    scale: Scale
    """What the numbers are to be."""
    instruction: str
    """Empty: none."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a successful answer says."""

    raw: tuple[float | None, ...]
    """One number per document, in the order of the request; None: the model failed."""
    model: str = ""
    """The model that the vendor names; empty: it names none."""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than success, read whole."""

    backend: str
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    payload: Json
    """The parsed body; None where it is not JSON."""


def bearer(api_key: str) -> dict[str, str]:
    """Spell a key as most vendors want it."""
    return {"Authorization": f"Bearer {api_key}"}


def judges_each_alone(_: str) -> bool:
    """Say of every model that a document's score is independent of its companions."""
    return False


def no_words_of_its_own(_: Refusal) -> BackendError | None:
    """Leave every refusal to its status."""
    return None


@dataclass(frozen=True, slots=True)
class Info:
    """Where a backend tells about itself, and how to read it."""

    path: str
    """Below the base url; asked with GET."""
    read: Callable[[Json, Facts], None]
    """Writes what the answer tells into the facts. Raises `ContractBrokenError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What holds of a vendor however it is spoken to."""

    credentials: Callable[[str], dict[str, str]] = bearer
    """Key to headers, or to metadata."""
    listwise: Callable[[str], bool] = judges_each_alone
    """Whether a model compares the documents of a call, which then is never split."""
    scale: Scale | None
    """What the numbers are; None: the model decides, so it must be configured."""
    max_documents: int
    """In one call, until the backend tells otherwise."""
    max_tokens: int | None = None
    """In one pair, where a longer one is refused; None: the vendor truncates."""
    max_in_flight: int
    """Calls at once by default: what the vendor serves without queueing or refusing."""
    needs_model: bool = False
    """Without a model, every call would be refused."""
    billing: Billing = CALLS
    """What an answer costs, as far as its `usage` says."""
    home: str = ""
    """The vendor's own base url; empty where everybody runs their own server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect(Traits):
    """One vendor's spelling, in JSON over HTTP."""

    path: str
    """The rerank endpoint below the base url."""
    encode: Callable[[Call], Json]
    """Call to body: exactly the vendor's fields, no superset."""
    decode: Callable[[Json, int], Decoded]
    """Body and number of documents to scores. Raises `ContractBrokenError`."""
    usage: Callable[[Mapping[str, str]], Usage] | None = None
    """Headers of a successful answer (names in lower case) to what it cost; None: the
    body tells, if anything does."""
    refusal: Callable[[Refusal], BackendError | None] = no_words_of_its_own
    """What a refusal means where its status alone does not say it; else None."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every call says beside its key."""
    info: Info | None = None
