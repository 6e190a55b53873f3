"""Whether telemetry may quote what callers send. By default it never does."""

import logging
from dataclasses import dataclass

from gateway.telemetry import semconv

_log = logging.getLogger("gateway")


@dataclass(frozen=True, slots=True)
class Content:
    """What spans may show of a request."""

    texts: bool = False
    """Queries and documents, cut to `semconv.LONGEST_TEXT` characters."""
    ids: bool = True
    """The ids of documents."""

    def query(self, text: str) -> dict[str, str]:
        """Quote a query, if that is allowed."""
        if not self.texts or not text:
            return {}
        return {semconv.INPUT: text[: semconv.LONGEST_TEXT]}

    def announce(self) -> None:
        """Say at the start that texts leave the process."""
        if self.texts:
            _log.warning(
                "RERANK_GATEWAY_CAPTURE_CONTENT=SPAN_ONLY: traces quote the first %d "
                "characters of queries and documents",
                semconv.LONGEST_TEXT,
            )
