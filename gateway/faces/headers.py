"""What headers say: a caller's wishes on the way in, the truth about an answer on the way out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.rpc.call_lines import OUTCOMES, REASONS, Answer
from gateway.rpc.violations import Violations
from rerank.v1 import execution_pb2

TIMEOUT = "x-timeout-s"
CONNECT_TIMEOUT = "connect-timeout-ms"
GRPC_TIMEOUT = "grpc-timeout"
ROUTE = "x-rerank-route"
FAILURE_POLICY = "x-failure-policy"

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""What a 401 has to say: how a caller proves who it is."""

_POLICIES = {"keep_order": True, "error": False}
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_GRPC_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_CONNECT_TIMEOUT = re.compile(r"[0-9]{1,10}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller wants beside what its request says."""

    timeout_s: float | None
    """How long it waits; None: it does not say."""
    route: str
    keep_order: bool | None
    """Whether an answer without scores is wanted; None: it does not say."""


def wishes(headers: Mapping[str, str], wrong: Violations) -> Wishes:
    """Read the headers of a request.

    Args:
        headers: With names in any case.
        wrong: Takes what is wrong with them.

    """
    route = headers.get(ROUTE, "")
    if not (route.isascii() and route.isprintable()):
        wrong.add(ROUTE, "must be the name of a route")
        route = ""
    policy = headers.get(FAILURE_POLICY)
    if policy is not None and policy not in _POLICIES:
        wrong.add(FAILURE_POLICY, "must be keep_order or error")
    return Wishes(
        timeout_s=min(_timeouts(headers, wrong), default=None),
        route=route,
        keep_order=_POLICIES.get(policy or ""),
    )


def _timeouts(headers: Mapping[str, str], wrong: Violations) -> Iterator[float]:
    if (said := headers.get(TIMEOUT)) is not None:
        seconds = float(said) if _SECONDS.fullmatch(said) else 0.0
        if seconds <= 0:
            wrong.add(TIMEOUT, "must be seconds, more than 0, such as 2.5")
        else:
            yield seconds
    if (said := headers.get(CONNECT_TIMEOUT)) is not None:
        if not _CONNECT_TIMEOUT.fullmatch(said):
            wrong.add(CONNECT_TIMEOUT, "must be milliseconds, at most 10 digits")
        else:
            yield int(said) / 1000
    if (said := headers.get(GRPC_TIMEOUT)) is not None:
        found = _GRPC_TIMEOUT.fullmatch(said)
        if not found:
            wrong.add(
                GRPC_TIMEOUT, "must be at most 8 digits and one of H, M, S, m, u, n"
            )
        else:
            yield int(found[1]) * _GRPC_UNITS[found[2]]


def truth(answer: Answer) -> dict[str, str]:
    """Say in headers what an answer says of itself."""
    return {
        "x-search-method": answer.search_method,
        "x-fallback-triggered": "true" if answer.fallback_triggered else "false",
        **_of_execution(answer.execution),
    }


def truth_of_failure(execution: execution_pb2.Execution) -> dict[str, str]:
    """Say the same of a rerank that gave no scores, where the caller wanted an error."""
    return {"x-fallback-triggered": "true", **_of_execution(execution)}


def _of_execution(execution: execution_pb2.Execution) -> dict[str, str]:
    said = {
        "x-rerank-outcome": OUTCOMES.get(execution.outcome, ""),
        "x-fallback-reason": _reason(execution),
        "x-rerank-route": execution.route,
        "x-rerank-backend": execution.backend,
        "x-rerank-model": execution.model,
    }
    return {name: _printable(value) for name, value in said.items() if value}


def _reason(execution: execution_pb2.Execution) -> str:
    """Give why the last backend failed that did, also where another one answered then."""
    reason = execution.fallback_reason
    for attempt in execution.attempts:
        reason = execution.fallback_reason or attempt.failure_reason or reason
    return REASONS.get(reason, "")


def _printable(name: str) -> str:
    """Give a name as a header can hold it: a vendor may say anything as its model's."""
    return "".join(
        each if each.isascii() and each.isprintable() else "?"
        for each in name[:_LONGEST_NAME]
    ).strip()
