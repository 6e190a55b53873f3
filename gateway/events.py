"""What happened, as facts: layers report these, and never know who listens.

Attributes are few-valued and never a text of a caller.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.backends.errors import Attempt, BackendState


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A backend was asked and answered, failed, or was given up."""

    attempt: Attempt
    detail: str
    """Why it failed, in our own words; empty where it did not."""
    state: BackendState
    """What this shows about the backend."""


@dataclass(frozen=True, slots=True)
class FactsLearned:
    """A backend told about itself for the first time, or something new."""

    backend: str
    model: str
    max_documents: int


@dataclass(frozen=True, slots=True)
class BackendSilent:
    """A backend did not tell about itself when asked."""

    backend: str
    detail: str


Event = AttemptEnded | FactsLearned | BackendSilent
Emit = Callable[[Event], None]
