"""The public keys of whoever signs tokens: a JSON Web Key Set (RFC 7517), kept up to date.

No call waits for the usual look at it. One with a key that is not known has the set brought
at once, but never more often than every few seconds, whatever strangers send.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from jwt import PyJWK, PyJWTError

_log = logging.getLogger(__name__)

_MOST_WAITING: Final = 64
"""Calls at once that wait for a key which is not known yet; others are refused."""

Fetch: TypeAlias = Callable[[], Awaitable[bytes]]
"""Brings the set. Raises `KeysUnavailable`."""


class KeysUnavailable(Exception):
    """The set cannot be had, or is none; says why, in our own words."""


class KeySet:
    """The keys of one set.

    Args:
        jwks: As it came.

    Raises:
        KeysUnavailable: It is no set, or has no public key that signs.

    """

    def __init__(self, jwks: bytes) -> None:
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._ready: dict[tuple[str, str], PyJWK] = {}
        try:
            listed = json.loads(jwks)["keys"]
        except (ValueError, RecursionError, TypeError, LookupError) as error:
            message = "it is no JSON Web Key Set"
            raise KeysUnavailable(message) from error
        for key in listed if isinstance(listed, list) else ():
            if isinstance(key, dict) and _may_sign(key):
                self._keys.setdefault(str(key.get("kid", "")), key)
        if not self._keys:
            message = "it has no public key that signs"
            raise KeysUnavailable(message)

    def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """Give a key as one of an algorithm; None: there is none, or it is of another.

        Args:
            kid: Its id; empty: the only one that there is.
            algorithm: An asymmetric one.

        """
        if not kid and len(self._keys) == 1:
            (kid,) = self._keys
        made = self._ready.get((kid, algorithm))
        key = self._keys.get(kid)
        if made is None and key and key.get("alg", algorithm) == algorithm:
            try:
                made = PyJWK(dict(key), algorithm)
            except (PyJWTError, ValueError, TypeError):
                return None
            self._ready[kid, algorithm] = made
        return made

    def has(self, kid: str) -> bool:
        """Tell whether there is a key of this id."""
        return kid in self._keys or (not kid and len(self._keys) == 1)


class Jwks:
    """The set as it is now.

    Args:
        fetch: Brings it.
        timeout_s: How long that may take, and how long a call waits for it.
        refresh_s: How often it is brought.
        least_s: How soon again, where a key is not known.
        stale_s: How long it is believed while it cannot be brought.

    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        timeout_s: float,
        refresh_s: float,
        least_s: float,
        stale_s: float,
    ) -> None:
        self._fetch = fetch
        self._timeout_s = timeout_s
        self._refresh_s = refresh_s
        self._least_s = least_s
        self._stale_s = stale_s
        self._keys: KeySet | None = None
        self._brought_at = 0.0
        self._resting = False
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._round_over = asyncio.Event()

    async def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """Give a key, and have the set brought where there is none of this id.

        Args:
            kid: Its id; empty: the only one that there is.
            algorithm: An asymmetric one.

        """
        keys = self._current()
        if (keys is None or not keys.has(kid)) and not self._resting:
            await self._another_round()
            keys = self._current()
        return keys.find(kid, algorithm) if keys else None

    async def bring(self) -> None:
        """Bring the set now; while it cannot be had, what was brought before stands."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._keys = KeySet(await self._fetch())
        except TimeoutError:
            problem = f"no answer in {self._timeout_s:g} s"
        except KeysUnavailable as error:
            problem = str(error)
        else:
            self._brought_at = _now()
            return
        level = logging.WARNING if self._current() else logging.ERROR
        _log.log(level, "the keys of tokens (identity.jwt) are not there: %s", problem)

    async def watch(self) -> None:
        """Bring it again and again, until cancelled."""
        while True:
            self._resting = True
            await asyncio.sleep(self._least_s)
            self._resting = False
            pause_s = self._refresh_s - self._least_s
            if self._current() is None:
                pause_s = 0.0
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass  # it is time
            await self.bring()
            self._wanted.clear()
            self._round_over.set()
            self._round_over = asyncio.Event()

    def _current(self) -> KeySet | None:
        if self._keys and _now() - self._brought_at > self._stale_s:
            return None
        return self._keys

    async def _another_round(self) -> None:
        if self._waiting >= _MOST_WAITING:
            return
        self._wanted.set()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._round_over.wait()
        except TimeoutError:
            pass  # whoever asks gets what there is
        finally:
            self._waiting -= 1


def _may_sign(key: Mapping[str, Any]) -> bool:
    """Leave out what is a secret, and what only encrypts."""
    return key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def _now() -> float:
    return asyncio.get_running_loop().time()
