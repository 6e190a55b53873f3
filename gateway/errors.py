"""What can be wrong with a call: these, and only these, become errors of an RPC.

GatewayError
 ├ InvalidRequest   the caller's mistakes, every one of them  → INVALID_ARGUMENT
 ├ UnknownRoute     no such route                             → NOT_FOUND
 ├ UnknownBackend   no such backend                           → NOT_FOUND
 └ RerankFailed     only under failure_policy FAIL            → UNAVAILABLE, or
                                                   FAILED_PRECONDITION if for good
"""

from dataclasses import dataclass

from gateway.contract import Execution

_SHOWN = 64


class GatewayError(Exception):
    """A call cannot be answered."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One mistake in a request."""

    field: str
    """Its path, such as `documents[3].text`."""
    description: str
    """What is wrong and what the limit is; never quotes a text."""


class InvalidRequest(GatewayError):
    """The request breaks the contract."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(f"{first.field}: {first.description}{more}")
        self.violations = violations


class UnknownRoute(GatewayError):
    """The request names a route that is not configured."""

    def __init__(self, route: str) -> None:
        self.route = _shown(route)
        super().__init__(f"there is no route {self.route!r}")


class UnknownBackend(GatewayError):
    """The request names a backend that is not configured."""

    def __init__(self, backend: str) -> None:
        self.backend = _shown(backend)
        super().__init__(f"there is no backend {self.backend!r}")


class RerankFailed(GatewayError):
    """No backend scored, and the caller wants no other order."""

    def __init__(
        self,
        message: str,
        execution: Execution,
        *,
        transient: bool,
        retry_after_s: float | None,
    ) -> None:
        super().__init__(message)
        self.execution = execution
        self.transient = transient
        self.retry_after_s = retry_after_s


def _shown(name: str) -> str:
    """Cut a caller's name where it is quoted: a status too long never arrives."""
    return f"{name[:_SHOWN]}…" if len(name) > _SHOWN else name
