"""Who may call one gateway, from its configuration: keys, tokens, or certificates."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.concurrency import in_the_background
from gateway.identity.caller import Caller
from gateway.identity.entrance import Entrance
from gateway.identity.keys import Key, KeyRing
from gateway.identity.permitted import PermittedCollections
from gateway.identity.shown import Identify
from gateway.identity.watching import whenever_changed
from gateway.reloading.change import CannotChange, Change, Prepare, at_once, no_change
from gateway.reloading.watching import stamps
from gateway.retrieval.refusing import RefusingRetriever
from gateway.retrieval.retriever import Retriever
from gateway.settings import Settings
from gateway.settings.credentials import WrongKeysError, certificates, read_keys
from gateway.settings.identity import (
    GrantSettings,
    IdentitySettings,
    JwtSettings,
    KeySettings,
)

_log = logging.getLogger(__name__)


async def entrance(
    settings: Settings, parts: AsyncExitStack
) -> tuple[Entrance, Prepare]:
    """Build what stands before the listeners, and what has it know other keys.

    Args:
        settings: Of this process; its files were read once, and may have changed since.
        parts: Ends what is begun here.

    Raises:
        CertificateError: A file of TLS cannot be used.
        WrongKeysError: The keys cannot be used.

    """
    shown = await asyncio.to_thread(certificates, settings.tls)
    if shown is not None:
        looking = shown.watch(every_s=settings.tls.look_every_s)
        await parts.enter_async_context(in_the_background(looking))
    identify, other_keys = await _identify(settings, parts)
    door = Entrance(
        identify=identify,
        by_certificate=settings.identity.mode == "certificates",
        open=frozenset(settings.identity.open),
        grpc=shown if settings.tls.serves("grpc") else None,
        http=shown if settings.tls.serves("http") else None,
        metrics=shown if settings.tls.serves("metrics") else None,
    )
    return door, other_keys


def permitted(retriever: Retriever) -> Retriever:
    """Give those collections that the caller may know of, where there can be any."""
    if isinstance(retriever, RefusingRetriever):
        return retriever
    return PermittedCollections(retriever)


async def _identify(
    settings: Settings, parts: AsyncExitStack
) -> tuple[Identify | None, Prepare]:
    match settings.identity.mode:
        case "none":
            return None, no_change
        case "keys":
            return await _keys(settings, parts)
        case "jwt":
            assert settings.identity.jwt  # noqa: S101 - it was checked
            return await _tokens(settings.identity.jwt, parts), no_change
        case "certificates":
            return _certified(settings.identity)


async def _keys(settings: Settings, parts: AsyncExitStack) -> tuple[Identify, Prepare]:
    identity = settings.identity
    paths = [Path(identity.keys_file)] if identity.keys_file else []
    seen = stamps(paths)
    keys = _Keys(settings, await _read(settings))
    if paths:
        every_s = identity.look_every_s
        looking = whenever_changed(paths, seen, keys.again, every_s=every_s)
        await parts.enter_async_context(in_the_background(looking))
    return keys.ring.identify, keys.prepare


@dataclass(slots=True, eq=False)
class _Ready:
    """Keys that are known as soon as another configuration is in place."""

    settings: Settings
    known: list[Key]


class _Keys:
    """The keys by the configuration that serves, and by one that is ready to.

    Their file is read for both when it is replaced: a key that was taken out of it must not
    come back with a configuration that was a while on its way.

    Args:
        settings: What serves.
        known: The keys.

    """

    def __init__(self, settings: Settings, known: list[Key]) -> None:
        self.ring = KeyRing(known)
        self._settings = settings
        self._ready: _Ready | None = None
        self._turn = asyncio.Lock()

    async def prepare(self, wanted: Settings) -> Change:
        """Read the keys of another configuration."""
        async with self._turn:
            try:
                ready = self._ready = _Ready(wanted, await _read(wanted))
            except WrongKeysError as error:
                raise CannotChange(error.problems) from error

        def apply() -> None:
            self._settings, self._ready = wanted, None
            self.ring.replace(ready.known)

        async def discard() -> None:
            self._ready = None

        return Change(apply, discard)

    async def again(self) -> bool:
        """Read the file, which was replaced; false: it cannot be used."""
        async with self._turn:
            try:
                await self._read_again()
            except WrongKeysError as error:
                _log.error("the new keys are not used: %s", "; ".join(error.problems))
                return False
        file = self._settings.identity.keys_file
        _log.info("the keys were replaced by those in %s", file)
        return True

    async def _read_again(self) -> None:
        while True:
            serving, ready = self._settings, self._ready
            known = await _read(serving)
            following = await _read(ready.settings) if ready else []
            # Nobody waits to be put in place: that may have happened meanwhile.
            if serving is self._settings and ready is self._ready:
                break
        self.ring.replace(known)
        if ready:
            ready.known = following


async def _read(settings: Settings) -> list[Key]:
    keys = await asyncio.to_thread(read_keys, settings.identity, settings.routes)
    return _known(keys)


def _known(keys: Mapping[str, KeySettings]) -> list[Key]:
    return [
        Key(
            digest=bytes.fromhex(key.sha256),
            caller=_granted(name, key),
            expires_at=key.expires.timestamp() if key.expires else None,
        )
        for name, key in keys.items()
    ]


def _granted(name: str, grant: GrantSettings) -> Caller:
    collections = grant.collections
    return Caller(
        grant.tenant or name,
        key=name,
        routes=None if grant.routes is None else frozenset(grant.routes),
        collections=None if collections is None else frozenset(collections),
        is_admin=grant.admin,
        may_write=grant.write,
    )


def _certified(identity: IdentitySettings) -> tuple[Identify, Prepare]:
    from gateway.identity.certified import Certified, Name

    def callers(wanted: IdentitySettings) -> dict[Name, Caller]:
        return {
            Name(kind, value): _granted(name, certificate)
            for name, certificate in wanted.certificates.items()
            for kind, value in certificate.names
        }

    certified = Certified(callers(identity))

    async def prepare(wanted: Settings) -> Change:
        known = callers(wanted.identity)
        return at_once(lambda: certified.replace(known))

    return certified.identify, prepare


async def _tokens(settings: JwtSettings, parts: AsyncExitStack) -> Identify:
    import httpx

    from gateway.identity.issuer import fetch
    from gateway.identity.jwks import Jwks, KeysUnavailable
    from gateway.identity.tokens import Claims, Tokens

    async def from_file() -> bytes:
        path = Path(settings.jwks_file)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            message = f"cannot read {path}: {error.strerror}"
            raise KeysUnavailable(message) from error

    async def from_url() -> bytes:
        return await fetch(client, settings.jwks_url)

    client = await parts.enter_async_context(
        httpx.AsyncClient(timeout=settings.timeout_s)
    )
    jwks = Jwks(
        from_url if settings.jwks_url else from_file,
        timeout_s=settings.timeout_s,
        refresh_s=settings.refresh_s,
        least_s=settings.least_s,
        stale_s=settings.stale_s,
    )
    # Whoever signs may be down at our start; until it is back nobody is let in.
    await jwks.bring()
    await parts.enter_async_context(in_the_background(jwks.watch()))
    return Tokens(
        jwks,
        issuer=settings.issuer,
        audience=settings.audience,
        algorithms=settings.algorithms,
        leeway_s=settings.leeway_s,
        claims=Claims(
            tenant=settings.tenant_claim,
            routes=settings.routes_claim,
            collections=settings.collections_claim,
            admin=settings.admin_claim,
            write=settings.write_claim,
        ),
    ).identify
