"""Which settings are put in place by a reload, and which wait for the next start."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.settings import Settings

TENANTS: Final = "tenants"
"""A section that is put in place if there are any, and were at the start."""

_ALL: Final = frozenset({"*"})

RELOADED: Final[Mapping[str, frozenset[str]]] = {
    "routes": _ALL,
    "backends": _ALL,
    "cache": _ALL,
    "embedder": _ALL,
    "client": _ALL,  # of commands: nothing that serves has any of it
    "identity": frozenset({"keys", "certificates"}),
    "retrieval": frozenset({"timeout_s"}),
    "ledger": frozenset({"labels"}),
    "http": frozenset({"body_timeout_s", "on_fallback"}),
    "server": frozenset(
        {
            "grace_s",
            "max_documents",
            "max_document_bytes",
            "max_query_bytes",
            "reserve_share",
            "reserve_least_s",
            "max_calls",
            "max_batch_in_flight",
            "max_lag_s",
            "allow_debug",
        }
    ),
}
"""By section, those that a reload puts in place. Of whatever is not here, a change waits: it
is about sockets, files or processes that are there already."""


def settled(began: Settings, wanted: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Leave what cannot change as it was at the start.

    Args:
        began: As it was read at the start.
        wanted: As it was read now.

    Returns:
        What can be put in place, and the names of the settings that wait.

    """
    update: dict[str, Any] = {}
    waiting: list[str] = []
    for section in Settings.model_fields:
        reloaded = RELOADED.get(section, frozenset())
        if reloaded is _ALL:
            continue
        old, new = getattr(began, section), getattr(wanted, section)
        if section == TENANTS:
            # Whether there is a ledger is decided at the start, of every worker alike.
            if bool(old) != bool(new):
                waiting.append(section)
                update[section] = old
            continue
        kept = {
            name: getattr(old, name)
            for name in _changed(old, new)
            if name not in reloaded
        }
        if kept:
            waiting += (f"{section}.{name}" for name in kept)
            update[section] = new.model_copy(update=kept)
    return wanted.model_copy(update=update), tuple(waiting)


def _changed(old: Any, new: Any) -> Iterator[str]:  # noqa: ANN401 - sections of any kind
    for name in type(old).model_fields:
        if getattr(old, name) != getattr(new, name):
            yield name
