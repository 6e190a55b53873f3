"""API keys: random, shown once, and known here by their hashes alone.

A key is 256 bits from the system's source of randomness, so nobody guesses one, hash or no
hash: SHA-256 is as good as any slow hash made for passwords, which people choose, and costs
a microsecond instead of a tenth of a second for whoever calls, or floods us with rubbish.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from gateway.identity.bearer import bearer_in
from gateway.identity.caller import Caller
from gateway.identity.shown import Metadata, Shown

_PREFIX: Final = "rgw_"
"""By which people, and those who look for secrets in code, know such a key."""
_BYTES: Final = 32

HASH_OF_NOTHING: Final = sha256(b"").hexdigest()
"""No key has it: whoever shows nothing would be let in."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, as far as it is known here."""

    digest: bytes
    """Its SHA-256."""
    caller: Caller
    """Who shows it."""
    expires_at: float | None = None
    """Unix time from which on it is none any more; None: never."""


def new_key() -> str:
    """Make a key; nobody else has it, and it is not kept."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def hash_of(key: str) -> str:
    """Give what may be known of a key: its SHA-256, as 64 hexadecimal digits."""
    return sha256(key.encode()).hexdigest()


def shows(metadata: Metadata, digest: bytes) -> bool:
    """Tell whether a caller shows the one key that there is, in constant time."""
    return compare_digest(sha256(bearer_in(metadata).encode()).digest(), digest)


class KeyRing:
    """Knows callers by their keys.

    However many keys there are and whatever is shown, nothing included, all of it is
    hashed and compared with every key: how long that takes tells nothing.

    Args:
        keys: All of them.
        now: Gives the Unix time.

    """

    def __init__(
        self, keys: Sequence[Key], *, now: Callable[[], float] = time.time
    ) -> None:
        self._keys = tuple(keys)
        self._now = now

    def replace(self, keys: Sequence[Key]) -> None:
        """Know these from now on, and no others."""
        self._keys = tuple(keys)

    async def identify(self, shown: Shown) -> Caller | None:
        """Tell who shows a key."""
        digest = sha256(bearer_in(shown.metadata).encode()).digest()
        found = None
        for key in self._keys:
            if compare_digest(key.digest, digest):
                found = key
        if found is None:
            return None
        if found.expires_at is not None and self._now() >= found.expires_at:
            return None
        return found.caller
