"""What remembers scores: this process, and what several gateways share."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.events import Emit
from gateway.layers.memory import Memory
from gateway.layers.pair_keys import PairKeys
from gateway.layers.process_memory import ProcessMemory
from gateway.layers.tenant_memory import tenant_memory
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings, CacheSettings

if TYPE_CHECKING:
    from gateway.layers.redis_memory import RedisMemory

_log = logging.getLogger(__name__)

# About a second of a busy gateway.
_MAX_UNWRITTEN = 10_000


@dataclass(frozen=True, slots=True)
class Tier:
    """One memory, and what it is called in events."""

    memory: Memory
    name: str


@dataclass(frozen=True, slots=True)
class Memories:
    """The memories of all backends, innermost first, and the secret of their keys."""

    tiers: tuple[Tier, ...]
    ttl_s: float
    secret: bytes
    process: ProcessMemory | None = None
    """The one in this process, if there is one."""
    problem: str = ""
    """Why nothing is shared although that was wanted."""
    probe: Callable[[], Awaitable[str]] | None = None
    """Asks what is shared whether it works; gives why not, or an empty string. None: nothing
    is shared."""

    def keys(self, name: str, settings: BackendSettings, scale: Scale) -> PairKeys:
        """Name the scores of one backend."""
        servers = settings.urls or (settings.url,)
        return PairKeys(
            secret=self.secret,
            backend=name,
            configured=(settings.dialect, settings.model, settings.revision, *servers),
            scale=scale,
        )


NO_MEMORIES = Memories(tiers=(), ttl_s=1.0, secret=b"")


async def memories(
    settings: CacheSettings,
    *,
    emit: Emit,
    parts: AsyncExitStack,
    tenants: bool = False,
) -> Memories:
    """Build what the configuration wants.

    Args:
        settings: Its configuration, which was checked.
        emit: Told what happens.
        parts: Ends what is begun here.
        tenants: Whether several share what remembers.

    """
    # Without a secret of the operator nobody else's keys are ours.
    secret = secrets.token_bytes(32)
    if settings.key:
        secret = settings.key.get_secret_value().encode()
    tiers: list[Tier] = []
    shared: RedisMemory | None = None
    problem = settings.problem
    if settings.url and not problem:
        try:
            shared = await _shared(settings, secret, emit, parts)
        except ImportError as error:
            problem = f"{error.name} is missing: pip install 'rerank-gateway[shared]'"
        else:
            tiers.append(Tier(shared, "shared"))
    if problem:
        _log.error("the shared memory of scores is not used: %s", problem)
    process = None
    if settings.max_bytes:
        made = tenant_memory if tenants else ProcessMemory
        process = made(max_bytes=settings.max_bytes)
        tiers.append(Tier(process, "process"))
    return Memories(
        tiers=tuple(tiers),
        ttl_s=settings.ttl_s,
        secret=secret,
        process=process,
        problem=problem,
        probe=shared.probe if shared else None,
    )


async def _shared(
    settings: CacheSettings,
    secret: bytes,
    emit: Emit,
    parts: AsyncExitStack,
) -> "RedisMemory":
    from gateway.layers.redis_memory import RedisMemory

    url = settings.url
    if settings.password:
        scheme, _, rest = url.partition("://")
        url = f"{scheme}://:{quote(settings.password.get_secret_value())}@{rest}"
    memory = RedisMemory(
        url=url,
        secret=secret,
        read_s=settings.timeout_s,
        max_unwritten=_MAX_UNWRITTEN,
        emit=emit,
    )
    await parts.enter_async_context(memory.running())
    return memory
