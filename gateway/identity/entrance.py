"""What stands before the listeners of one process: who is let in, and what they show."""

from dataclasses import dataclass
from typing import Final

from gateway.identity.caller import caller
from gateway.identity.certificates import Certificates
from gateway.identity.shown import Identify, Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Whom listeners let in."""

    identify: Identify | None = None
    """Tells who calls; None: nobody has to prove it."""
    by_certificate: bool = False
    """It tells so by the certificate of the connection, and by nothing else."""
    open: frozenset[str] = frozenset()
    """What needs no credentials: `health`, `reflection`, `backends`, `openapi`."""
    grpc: Certificates | None = None
    """What the listener for gRPC shows; None: it speaks no TLS."""
    http: Certificates | None = None
    """The same of HTTP."""
    metrics: Certificates | None = None
    """The same of the endpoint for Prometheus, whose key is a matter of its own."""

    async def admits(self, what: str, shown: Shown) -> bool:
        """Tell whether a caller may look at what is no call, such as `openapi`.

        Who it is is noted, if that is asked.
        """
        if self.identify is None or what in self.open:
            return True
        who = await self.identify(shown)
        if who is None:
            return False
        caller.set(who)
        return True

    async def admits_admin(self, what: str, shown: Shown) -> bool:
        """Tell the same of what is for admins, such as `backends`."""
        if self.identify is None or what in self.open:
            return True
        who = await self.identify(shown)
        return who is not None and who.is_admin


OPEN: Final = Entrance()
"""Lets everybody in, unseen by others only where nobody else reaches it."""
