"""What can be wrong with a call: these, and only these, become errors of an RPC.

GatewayError
 ├ InvalidRequest          the caller's mistakes, all of them → INVALID_ARGUMENT
 ├ UnknownRoute            no such route                      → NOT_FOUND
 ├ UnknownBackend          no such backend                    → NOT_FOUND
 ├ CollectionNotFound      no such collection                 → NOT_FOUND
 ├ DocumentNotFound        no such document in it             → NOT_FOUND
 ├ CollectionAlreadyThere  one of that name already           → ALREADY_EXISTS
 ├ RetrievalNotConfigured  nothing to search in               → FAILED_PRECONDITION
 ├ RetrievalUnavailable    engine or embedder fails           → UNAVAILABLE
 ├ TooOld                  a version is not there in time     → UNAVAILABLE
 ├ OverQuota               more than the caller may use       → RESOURCE_EXHAUSTED
 ├ OutOfTime               the caller's deadline is over      → DEADLINE_EXCEEDED
 └ RerankFailed            only under failure_policy FAIL     → UNAVAILABLE, or
                                                   FAILED_PRECONDITION if for good, or
                                             RESOURCE_EXHAUSTED if a quota is used up
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


class CollectionNotFound(GatewayError):
    """The request names a collection that there is not."""

    def __init__(self, collection: str) -> None:
        self.collection = _shown(collection)
        super().__init__(f"there is no collection {self.collection!r}")


class DocumentNotFound(GatewayError):
    """The request names a document that its collection does not have."""

    def __init__(self, collection: str, document: str) -> None:
        self.collection = _shown(collection)
        self.document = _shown(document)
        super().__init__(
            f"collection {self.collection!r} has no document {self.document!r}"
        )


class CollectionAlreadyThere(GatewayError):
    """A collection of that name is there already."""

    def __init__(self, collection: str) -> None:
        self.collection = _shown(collection)
        super().__init__(f"there is a collection {self.collection!r} already")


class RetrievalNotConfigured(GatewayError):
    """This gateway has nothing to search in.

    Args:
        message: One line that says what to do about it.
        missing: The optional component to install; empty where that is not the reason.

    """

    def __init__(self, message: str, *, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


class RetrievalUnavailable(GatewayError):
    """The engine or the embedder does not do what is needed for an answer.

    Args:
        message: One line, ours to tell.
        component: `engine` or `embedder`.

    """

    def __init__(self, message: str, *, component: str) -> None:
        super().__init__(message)
        self.component = component


class TooOld(GatewayError):
    """The collection did not reach the version that the search has to see in time."""

    def __init__(self, collection: str, *, version: int, min_version: int) -> None:
        self.collection = _shown(collection)
        self.version = version
        self.min_version = min_version
        super().__init__(
            f"collection {self.collection!r} is at version {version},"
            f" not yet at {min_version}"
        )


class OutOfTime(GatewayError):
    """The caller's deadline left no time for an answer."""

    def __init__(self) -> None:
        super().__init__("the deadline left no time for an answer")


@dataclass(frozen=True, slots=True)
class UsedUp:
    """What a caller may use no more of."""

    quota: str
    """As the configuration calls it."""
    limit: str


class OverQuota(GatewayError):
    """The caller may not use so much, and there is no other answer to what it asks.

    Args:
        used_up: What there is no more of.
        retry_after_s: When there will be more.

    """

    def __init__(self, used_up: UsedUp, *, retry_after_s: float) -> None:
        super().__init__(f"no more than {used_up.limit} {used_up.quota}")
        self.used_up = used_up
        self.retry_after_s = retry_after_s


class RerankFailed(GatewayError):
    """No backend scored, and the caller wants no other order."""

    def __init__(
        self,
        message: str,
        execution: Execution,
        *,
        transient: bool,
        retry_after_s: float | None,
        quota: UsedUp | None = None,
    ) -> None:
        super().__init__(message)
        self.quota = quota
        self.execution = execution
        self.transient = transient
        self.retry_after_s = retry_after_s


def _shown(name: str) -> str:
    """Cut a caller's name where it is quoted: a status too long never arrives."""
    return f"{name[:_SHOWN]}…" if len(name) > _SHOWN else name
