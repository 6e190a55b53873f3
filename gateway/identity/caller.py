"""Who makes a call, as far as that is proven."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose credentials were checked, or nobody in particular."""

    tenant: str
    """Whose limits, budget and memory it uses; empty: nobody's, where no identity is asked
    for."""
    key: str = ""
    """Public name of the key or token it showed; never a secret."""
    routes: frozenset[str] | None = None
    """The routes it may use; None: all."""
    collections: frozenset[str] | None = None
    """The collections it may search and change; None: all."""
    is_admin: bool = False
    """Whether it may ask for backends and change collections."""


ANYBODY: Final = Caller("", is_admin=True)
"""Who calls where no identity is asked for."""

caller: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)
"""Who makes the call that is served here."""
