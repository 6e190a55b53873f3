"""Lines, for people and for machines.

A line is an object where its words are not needed yet: whoever writes makes them, beside
the event loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from gateway.events import CallEnded


class Told:
    """What a line says: in words, and as fields."""

    __slots__ = ()

    @property
    def message(self) -> str:
        """Say beside the fields what it is about."""
        return str(self)

    @property
    def fields(self) -> Mapping[str, object]:
        """Give the facts; texts among them are names, and few."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Line(Told):
    """What happened, with its words."""

    words: str
    facts: Mapping[str, object]

    def __str__(self) -> str:
        """Give its words."""
        return self.words

    @property
    def fields(self) -> Mapping[str, object]:
        """Give the facts."""
        return self.facts


@dataclass(frozen=True, slots=True)
class CallLine(Told):
    """The one line of a call."""

    call: CallEnded

    def __str__(self) -> str:
        """Say it for people."""
        call = self.call
        name = call.method.rpartition("/")[2]
        over = f" over {call.face}" if call.face else ""
        of = f" of {call.tenant}" if call.tenant else ""
        words = f"{name}{of}{over} {call.status} in {call.duration_s:.3f} s"
        if call.requests:
            return (
                f"{words}: {call.requests} requests, {call.refused} refused, "
                f"{call.fell_back} fell back"
            )
        if not call.outcome:
            return words
        words += f": {call.outcome}"
        if call.fallback_reason:
            words += f" after {call.fallback_reason}"
        if call.backend:
            words += f" by {call.backend}"
        if call.model:
            words += f" ({call.model})"
        attempts = "1 attempt" if call.attempts == 1 else f"{call.attempts} attempts"
        return (
            f"{words}, {call.search_method}, {call.candidates} candidates, "
            f"{call.scored} scored, {call.cached} remembered, "
            f"{call.returned} returned, {attempts}"
        )

    @property
    def message(self) -> str:
        """Say which call it was; the fields say the rest."""
        return f"{self.call.method} {self.call.status}"

    @property
    def fields(self) -> Mapping[str, object]:
        """Give the facts, of an answer only where there was one."""
        call = self.call
        fields: dict[str, object] = {
            "event": "call",
            "method": call.method,
            "status": call.status,
            "duration_s": round(call.duration_s, 6),
        }
        if call.face:
            fields["face"] = call.face
        if call.tenant:
            fields["tenant"] = call.tenant
        if call.requests:
            for name in ("requests", "refused", "fell_back", "fallback"):
                fields[name] = getattr(call, name)
        if not call.outcome:
            return fields
        for name in ("outcome", "search_method", "fallback"):
            fields[name] = getattr(call, name)
        for name in ("fallback_reason", "route", "backend", "model"):
            if value := getattr(call, name):
                fields[name] = value
        for name in ("candidates", "scored", "cached", "returned", "attempts"):
            fields[name] = getattr(call, name)
        fields["stages"] = {name: round(each, 6) for name, each in call.stages}
        return fields


@dataclass(slots=True, eq=False)
class Entry:
    """A line that is to be written, with where and when it was said."""

    created: float
    """In seconds since 1970."""
    level: str
    logger: str
    said: Told | str
    trace_id: str = ""
    worker: int | None = None
    """Which of several processes said it; None: there is one, or all are meant."""


def for_people(entry: Entry) -> bytes:
    """Write a line in words."""
    second, millisecond = _split(entry.created)
    trace = f" trace_id={entry.trace_id}" if entry.trace_id else ""
    worker = "" if entry.worker is None else f" worker={entry.worker}"
    line = (
        f"{_for_people(second)}.{millisecond:03} "
        f"{entry.level} {entry.logger}: {entry.said}{worker}{trace}"
    )
    return _in_one_line(line).encode() + b"\n"


def for_machines(entry: Entry) -> bytes:
    """Write a line as a JSON object."""
    second, millisecond = _split(entry.created)
    said = entry.said if isinstance(entry.said, Told) else None
    line: dict[str, object] = {
        "time": f"{_for_machines(second)}.{millisecond:03}Z",
        "level": entry.level,
        "logger": entry.logger,
        "message": said.message if said else entry.said,
    }
    if entry.worker is not None:
        line["worker"] = entry.worker
    if entry.trace_id:
        line["trace_id"] = entry.trace_id
    if said:
        line.update(said.fields)
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # half a character, as in the name of a broken file
        line["message"] = _in_one_line(str(line["message"]))
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE, default=repr)


def _split(created: float) -> tuple[int, int]:
    """Give whole seconds and the milliseconds beyond them."""
    second, microsecond = divmod(round(created * 1_000_000), 1_000_000)
    return second, microsecond // 1000


# Of the lines of one second once: to write a time takes as long as all the rest of a line.


@lru_cache(maxsize=16)
def _for_people(second: int) -> str:
    # In the time of the place where people are.
    return f"{datetime.fromtimestamp(second, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


@lru_cache(maxsize=16)
def _for_machines(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def _in_one_line(text: str) -> str:
    """Show what would end a line, or move a terminal's cursor, as Python does."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )
