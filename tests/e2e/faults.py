"""Everything that a backend can do instead of answering well, and what it is called."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway.backends.errors import FailureReason
from tests.e2e.shapes import Shape
from tests.e2e.vendor import (
    Exchange,
    Play,
    chunk,
    hang,
    hang_in_body,
    head,
    reply,
    reset,
)

CANARY = "canary-4f1d"
"""In everything that a failing backend says; it must go no further."""

_MIB = 1024 * 1024
ENDLESS_BYTES = 100 * _MIB

Results = list[Any]


class Where(Enum):
    """Which of the backends of a shape is asked."""

    PATIENT = ""
    """Its attempts may take as long as a loaded machine needs."""
    HASTY = "_hasty"
    """Its attempts may take an instant."""
    REFUSED = "_refused"
    """Nobody listens there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail."""

    name: str
    reason: FailureReason
    play: Callable[[Shape], Play]
    where: Where = Where.PATIENT
    timeout_s: float | None = None
    """What the caller allows."""
    resets_at_accept: bool = False
    needs_index: bool = False
    """Only for shapes whose results say which document they are about."""

    @property
    def is_slow(self) -> bool:
        """Whether time ends it, perhaps before the backend has heard of it."""
        return self.where is Where.HASTY or self.timeout_s is not None


def _whatever(play: Play) -> Callable[[Shape], Play]:
    return lambda _: play


def _echo(exchange: Exchange) -> str:
    """Say the canary, and what nobody else may hear."""
    return f"{CANARY} {' '.join(exchange.received.headers.values())}"


def _refusing(
    status: int,
    reason: FailureReason,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Fault:
    async def play(exchange: Exchange) -> None:
        said = _echo(exchange)
        error = {"error": said, "message": said, "detail": [said]}
        refusal = reply(
            status,
            json.dumps(error).encode() if body is None else body,
            headers={"X-Said": said, **(headers or {})},
            reason=CANARY,
        )
        await refusal(exchange)

    also = f" with {', '.join(headers)}" if headers else ""
    return Fault(name=f"HTTP {status}{also}", reason=reason, play=_whatever(play))


def _saying(name: str, write: Callable[[Exchange, Shape], bytes]) -> Fault:
    """Answer with 200 and a body that is wrong as a whole."""

    def of_shape(shape: Shape) -> Play:
        async def play(exchange: Exchange) -> None:
            wrong = reply(200, write(exchange, shape), headers={"X-Said": CANARY})
            await wrong(exchange)

        return play

    return Fault(name=name, reason=FailureReason.MALFORMED, play=of_shape)


def _with_results(
    name: str,
    spoil: Callable[[Results, str], object],
    *,
    needs_index: bool = False,
) -> Fault:
    """Answer well but for the list of results, which comes in the order of the request.

    Args:
        name: What is wrong.
        spoil: Changes the results in place, or gives another list; told the key of
            the score, which is empty where a result is nothing but its number.
        needs_index: Only where results have an index.

    """

    def of_shape(shape: Shape) -> Play:
        async def play(exchange: Exchange) -> None:
            results = shape.results([0.5] * len(shape.texts(exchange.received)))
            if shape.has_indexes:
                results.sort(key=lambda result: result["index"])
                for result in results:
                    result["text"] = CANARY
            spoilt = spoil(results, shape.score_key)
            body = shape.answer(results if spoilt is None else spoilt, note=CANARY)
            await reply(200, body)(exchange)

        return play

    return Fault(
        name=name,
        reason=FailureReason.MALFORMED,
        play=of_shape,
        needs_index=needs_index,
    )


def _score(name: str, value: object) -> Fault:
    """Give one document this score."""

    def spoil(results: Results, score_key: str) -> None:
        if score_key:
            results[1][score_key] = value
        else:
            results[1] = value

    return _with_results(name, spoil)


def _raw_score(name: str, written: str) -> Fault:
    """Give one document a score that is written in a way `json` does not write."""
    placeholder = 123454321

    def write(exchange: Exchange, shape: Shape) -> bytes:
        results = shape.results([0.5] * len(shape.texts(exchange.received)))
        if shape.has_indexes:
            results[1][shape.score_key] = placeholder
        else:
            results[1] = placeholder
        body = shape.answer(results, note=CANARY)
        return body.replace(str(placeholder).encode(), written.encode())

    return _saying(name, write)


def _index(name: str, place: int, value: object) -> Fault:
    """Give one result this index; a lenient reader would take it for a right one."""

    def spoil(results: Results, _: str) -> None:
        results[place]["index"] = value

    return _with_results(name, spoil, needs_index=True)


def _without(key: str) -> Fault:
    def spoil(results: Results, score_key: str) -> None:
        del results[-1][key or score_key]

    what = key or "score"
    return _with_results(f"{what} missing", spoil, needs_index=True)


def _beyond(name: str, change: Callable[[Shape, str, str], bytes]) -> Fault:
    """Spoil the text of a whole good answer."""

    def write(exchange: Exchange, shape: Shape) -> bytes:
        results = shape.results([0.5] * len(shape.texts(exchange.received)))
        return change(shape, shape.answer(results, note=CANARY).decode(), CANARY)

    return _saying(name, write)


async def _reset_in_body(exchange: Exchange) -> None:
    await exchange.send(head(200, length=1000) + b'[{"note": "' + CANARY.encode())
    exchange.reset()


async def _end_in_body(exchange: Exchange) -> None:
    await exchange.send(head(200, length=1000) + b'[{"note": "' + CANARY.encode())
    exchange.close()


async def _end_in_chunks(exchange: Exchange) -> None:
    await exchange.send(head(200, length=None) + chunk(b'[{"' + CANARY.encode()))
    exchange.close()


async def _end_without_answer(exchange: Exchange) -> None:
    exchange.close()


async def _drip(exchange: Exchange) -> None:
    """Send a byte now and then: no single read takes long."""
    await exchange.send(head(200, length=1_000_000))
    while True:
        await exchange.send(b" ")
        await asyncio.sleep(0.01)


async def _endless(exchange: Exchange) -> None:
    part = CANARY.encode() * 1024
    await exchange.send(head(200, length=ENDLESS_BYTES))
    for _ in range(ENDLESS_BYTES // len(part)):
        await exchange.send(part)


async def _endless_in_chunks(exchange: Exchange) -> None:
    part = chunk(CANARY.encode() * 1024)
    await exchange.send(head(200, length=None))
    for _ in range(ENDLESS_BYTES // len(part)):
        await exchange.send(part)


def _unavailable(name: str, play: Play) -> Fault:
    return Fault(name=name, reason=FailureReason.UNAVAILABLE, play=_whatever(play))


def _malformed(name: str, play: Play) -> Fault:
    return Fault(name=name, reason=FailureReason.MALFORMED, play=_whatever(play))


def _slow(name: str, play: Play) -> list[Fault]:
    return [
        Fault(
            name=f"{name}, longer than an attempt may take",
            reason=FailureReason.TIMEOUT,
            play=_whatever(play),
            where=Where.HASTY,
        ),
        Fault(
            name=f"{name}, longer than the caller allows",
            reason=FailureReason.DEADLINE,
            play=_whatever(play),
            timeout_s=0.1,
        ),
    ]


_HTML = f"<!doctype html><title>{CANARY}</title><h1>Bad gateway</h1>".encode()

_CONNECTION = [
    Fault(
        name="connection refused",
        reason=FailureReason.UNAVAILABLE,
        play=_whatever(hang),
        where=Where.REFUSED,
    ),
    Fault(
        name="reset at accept",
        reason=FailureReason.UNAVAILABLE,
        play=_whatever(hang),
        resets_at_accept=True,
    ),
    _unavailable("reset instead of an answer", reset),
    _unavailable("closed instead of an answer", _end_without_answer),
    _unavailable("reset in the body", _reset_in_body),
    _unavailable("closed in the body", _end_in_body),
    _unavailable("closed between chunks", _end_in_chunks),
]

_SLOWNESS = [
    *_slow("slow headers", hang),
    *_slow("slow body", hang_in_body),
    *_slow("a body that drips", _drip),
]

_STATUSES = [
    _refusing(302, FailureReason.REJECTED, headers={"Location": "/elsewhere"}),
    _refusing(400, FailureReason.REJECTED),
    _refusing(401, FailureReason.UNAUTHENTICATED),
    _refusing(402, FailureReason.UNAUTHENTICATED),
    _refusing(403, FailureReason.UNAUTHENTICATED),
    _refusing(404, FailureReason.REJECTED, body=_HTML),
    _refusing(413, FailureReason.TOO_LARGE),
    _refusing(422, FailureReason.REJECTED),
    _refusing(429, FailureReason.RATE_LIMITED, headers={"Retry-After": "7"}),
    _refusing(500, FailureReason.UNAVAILABLE),
    _refusing(502, FailureReason.UNAVAILABLE, body=_HTML),
    _refusing(503, FailureReason.UNAVAILABLE, headers={"Retry-After": "7"}),
]

_BODIES = [
    _saying("HTML", lambda *_: _HTML),
    _saying(
        "an error object",
        lambda exchange, _: json.dumps(
            {"error": {"code": 501, "message": _echo(exchange)}}
        ).encode(),
    ),
    _saying("an empty body", lambda *_: b""),
    _saying("null", lambda *_: b"null"),
    _saying("a string", lambda *_: json.dumps(CANARY).encode()),
    _saying("an empty object", lambda *_: b"{}"),
    _saying("not UTF-8", lambda *_: b'{"results": "\xff\xfe"}'),
    _saying("an abyss of brackets", lambda *_: b"[" * 100_000 + b"]" * 100_000),
    _beyond("truncated JSON", lambda _, text, __: text[: len(text) // 2].encode()),
    _beyond("text after the JSON", lambda _, text, more: f"{text}{more}".encode()),
    _beyond("events of a stream", lambda _, text, __: f"data: {text}\n\n".encode()),
    _malformed("100 MB of body", _endless),
    _malformed("100 MB of body in chunks", _endless_in_chunks),
]

_SCORES = [
    _raw_score("a score is NaN", "NaN"),
    _raw_score("a score is Infinity", "Infinity"),
    _raw_score("a score is -Infinity", "-Infinity"),
    _raw_score("a score is too large for a double", "1e999"),
    _raw_score("a score is an integer of 400 digits", "9" * 400),
    _score("a score is null", None),
    _score("a score is a string", CANARY),
    _score("a score is a number in a string", "0.5"),
    _score("a score is a boolean", True),  # noqa: FBT003 - it is the value
    _score("a score is a list", [0.5]),
    _score("a score is an object", {"value": 0.5}),
    _without(""),
]

_RESULTS = [
    _without("index"),
    _index("duplicate index", 0, 1),
    _index("negative index", -1, -1),
    _index("index out of range", 0, 5),
    _index("indexes that begin with 1", 0, 5),
    _index("index is a string", 1, "1"),
    _index("index is a float", 1, 1.0),
    _index("index is a boolean", 1, True),  # noqa: FBT003 - it is the value
    _index("index is null", 0, None),
    _with_results("too few results", lambda results, _: results[:-1]),
    _with_results("too many results", lambda results, _: [*results, results[0]]),
    _with_results("no results", lambda *_: []),
    _with_results("results are null", lambda *_: "null"),
    _with_results("results are an object", lambda results, _: {"0": results}),
    _with_results("results in a list too many", lambda results, _: [results]),
    _with_results("a result is null", lambda results, _: [None, *results[1:]]),
]

ALL_FAULTS = [*_CONNECTION, *_SLOWNESS, *_STATUSES, *_BODIES, *_SCORES, *_RESULTS]


def faults_of(shape: Shape) -> list[Fault]:
    """Give every fault that a shape can have."""
    return [fault for fault in ALL_FAULTS if shape.has_indexes or not fault.needs_index]
