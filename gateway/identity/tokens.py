"""Callers who show a signed token (RFC 7519) of somebody whom the operator trusts.

What strangers send is read with care: the algorithm comes from the configuration, the key
from the issuer's own set, and of what is wrong nobody is told.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWT, PyJWTError, get_unverified_header

from gateway.identity.bearer import bearer_in
from gateway.identity.caller import Caller
from gateway.identity.jwks import Jwks
from gateway.identity.shown import Shown

_NAME: Final = re.compile(r"[A-Za-z0-9_.:@|/+=-]{1,128}")
"""What a tenant may be called: it stands in logs and traces."""

# Beyond what the library says itself: numbers and depths that Python's own parts refuse.
_UNREADABLE: Final = (PyJWTError, ValueError, OverflowError, RecursionError, TypeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Which claim says what; what is not named, no token says."""

    tenant: str
    """Required."""
    routes: str
    """A list, or names with spaces between them; empty: every token may use all routes."""
    collections: str
    """Likewise."""
    admin: str
    """True alone grants; empty: no token does."""
    write: str
    """Likewise."""

    def caller(self, said: Mapping[str, Any]) -> Caller | None:
        """Tell whose token it is; None: it does not say, or not in words we take."""
        tenant = said.get(self.tenant)
        if not isinstance(tenant, str) or not _NAME.fullmatch(tenant):
            return None
        subject = said.get("sub")
        named = isinstance(subject, str) and _NAME.fullmatch(subject)
        return Caller(
            tenant,
            key=str(subject) if named else "",
            routes=_names(said, self.routes),
            collections=_names(said, self.collections),
            is_admin=bool(self.admin) and said.get(self.admin) is True,
            may_write=bool(self.write) and said.get(self.write) is True,
        )


class Tokens:
    """Knows callers by their tokens.

    Args:
        jwks: The keys of whoever signs them.
        issuer: Who that is.
        audience: For whom they must be made: one of these.
        algorithms: With which they may be signed; asymmetric ones alone.
        leeway_s: How far clocks may be apart.
        claims: Which claim says what.

    """

    def __init__(
        self,
        jwks: Jwks,
        *,
        issuer: str,
        audience: Sequence[str],
        algorithms: Sequence[str],
        leeway_s: float,
        claims: Claims,
    ) -> None:
        self._jwks = jwks
        self._issuer = issuer
        self._audience = tuple(audience)
        self._algorithms = tuple(algorithms)
        self._leeway_s = leeway_s
        self._claims = claims
        self._reader = PyJWT(
            {"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True}
        )

    async def identify(self, shown: Shown) -> Caller | None:
        """Tell who shows a token."""
        token = bearer_in(shown.metadata)
        try:
            header = get_unverified_header(token)
        except _UNREADABLE:
            return None
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if algorithm not in self._algorithms or not isinstance(kid, str):
            return None
        key = await self._jwks.find(kid, algorithm)
        if key is None:
            return None
        try:
            said = self._reader.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway_s,
            )
        except _UNREADABLE:
            return None
        return self._claims.caller(said)


def _names(said: Mapping[str, Any], claim: str) -> frozenset[str] | None:
    """Read a list of names. None: no token says it; one that does not say it has none."""
    if not claim:
        return None
    listed = said.get(claim)
    if isinstance(listed, str):
        listed = listed.split()
    if not isinstance(listed, list):
        return frozenset()
    return frozenset(each for each in listed if isinstance(each, str))
