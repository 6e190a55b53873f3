"""What a caller shows to be known, whichever way its call came."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.identity.caller import Caller

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What came with a call, beside its message."""

    metadata: Metadata = ()
    """With names in lower case."""
    certificate: bytes = b""
    """Of its connection, in PEM or DER, for which the listener's authority vouches; empty:
    none."""


Identify: TypeAlias = Callable[[Shown], Awaitable[Caller | None]]
"""Tells who shows something. None: it does not prove it, for whatever reason; nobody is to
learn which."""
