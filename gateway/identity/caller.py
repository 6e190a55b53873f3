"""Who makes a call, as far as that is proven, and what it may do."""

from contextvars import ContextVar
from dataclasses import dataclass, field
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
    """Whether it may ask for backends, and make and remove collections."""
    may_write: bool = False
    """Whether it may import and delete documents; who is an admin may, in any case."""
    scope: bytes = field(init=False, repr=False)
    """Whose answers may be its own: equal for those alone who are of one tenant and may
    use the same routes; empty where no identity is asked for."""

    def __post_init__(self) -> None:
        """Derive the scope once, since calls ask for it."""
        scope = ""
        if self.tenant:
            routes = None if self.routes is None else sorted(self.routes)
            scope = repr((self.tenant, routes))
        object.__setattr__(self, "scope", scope.encode())

    def may_use(self, route: str) -> bool:
        """Tell whether it may use a route, if there is one of that name."""
        return self.routes is None or route in self.routes

    def may_see(self, collection: str) -> bool:
        """Tell whether it may know of a collection, if there is one of that name."""
        return self.collections is None or collection in self.collections


ANYBODY: Final = Caller("", is_admin=True)
"""Who calls where no identity is asked for."""

STRANGER: Final = Caller("", routes=frozenset(), collections=frozenset())
"""Who is not known where identities are asked for, and so may nothing."""

caller: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)
"""Who makes the call that is served here."""
