"""How an answer came about, in words, for a caller who asks for them.

They go into the metadata that ends a call: ASCII alone, and not much of it. Texts of
documents and of queries are never part of them.
"""

from collections.abc import Iterator, Sequence

from gateway.rpc.call_lines import (
    OUTCOMES,
    REASONS,
    STAGE_OUTCOMES,
    Answer,
    answer_in,
    seconds_of,
)
from rerank.v1 import execution_pb2, ranking_pb2

METADATA = "x-rerank-debug"
"""A caller sends it with `1`, and gets a value for each fact."""

_MOST_RESULTS = 10
_MOST_ATTEMPTS = 16
_MOST_STAGES = 8
_LONGEST_NAME = 64

# Clients refuse metadata beyond 8 KiB, of which others may want a part. HTTP/2 counts
# 32 bytes for each value beside its characters.
_MOST_BYTES = 6 * 1024
_BYTES_OF_A_VALUE = 32 + len(METADATA)
_LEFT_OUT = "more does not fit here"


def asks_for_debug(metadata: Sequence[tuple[str, str | bytes]] | None) -> bool:
    """Tell whether a caller wants these words."""
    return any(
        key == METADATA and value in ("1", b"1") for key, value in metadata or ()
    )


def debug_words(response: object) -> list[str]:
    """Say how an answer came about, a fact a value; of other messages, nothing."""
    answer = answer_in(response)
    if answer is None:
        return []
    room = _MOST_BYTES - _BYTES_OF_A_VALUE - len(_LEFT_OUT)
    words: list[str] = []
    for fact in _facts(answer):
        room -= _BYTES_OF_A_VALUE + len(fact)
        if room < 0:
            return [*words, _LEFT_OUT]
        words.append(fact)
    return words


def _facts(answer: Answer) -> Iterator[str]:
    execution = answer.execution
    yield _outcome(execution)
    for stage in execution.stages[:_MOST_STAGES]:
        yield _stage(stage)
    for number, attempt in enumerate(execution.attempts[:_MOST_ATTEMPTS], start=1):
        yield f"attempt {number}: {_attempt(attempt)}"
    if (more := len(execution.attempts) - _MOST_ATTEMPTS) > 0:
        yield f"{more} more attempts"
    if cached := execution.cached_count:
        yield f"{cached} of {execution.scored_count} scores remembered"
    unscored = len(execution.unscored_indexes)
    truncated = len(execution.truncated_indexes)
    if unscored or truncated:
        yield f"{_documents(unscored)} not scored, {truncated} truncated"
    for number, result in enumerate(answer.results[:_MOST_RESULTS], start=1):
        yield f"result {number}: {_result(result)}"


def _outcome(execution: execution_pb2.Execution) -> str:
    outcome = OUTCOMES.get(execution.outcome, "") or "unknown"
    reason = REASONS.get(execution.fallback_reason, "")
    by = ""
    if execution.backend:
        by = f" by {_name(execution.backend)}"
        if execution.model:
            by += f" ({_name(execution.model)})"
    return (
        f"route {_name(execution.route)}: outcome {outcome}{by}"
        f"{f' after {reason}' if reason else ''}"
        f" in {seconds_of(execution.duration):.2f} s"
    )


def _stage(stage: execution_pb2.Stage) -> str:
    reason = REASONS.get(stage.reason, "")
    return (
        f"stage {_name(stage.name)}: "
        f"{STAGE_OUTCOMES.get(stage.outcome, '') or 'unknown'}"
        f"{f' ({reason})' if reason else ''}, {seconds_of(stage.duration):.2f} s"
    )


def _attempt(attempt: execution_pb2.Attempt) -> str:
    reason = REASONS.get(attempt.failure_reason, "unknown")
    did = f"failed with {reason}" if reason else "answered"
    return (
        f"{_name(attempt.backend)} {did} after {seconds_of(attempt.duration):.2f} s, "
        f"{_documents(attempt.document_count)}"
    )


def _result(result: ranking_pb2.RankedDocument) -> str:
    return (
        f"document {_id(result)}, rank before {result.original_rank}, "
        f"search_method {_name(result.search_method)}"
    )


def _id(result: ranking_pb2.RankedDocument) -> str:
    """Name a document by its id, if metadata can hold it, else by its place."""
    name = result.id
    fits = 0 < len(name) <= _LONGEST_NAME and name.isascii() and name.isprintable()
    return f'"{name}"' if fits else str(result.index)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count} documents"


def _name(name: str) -> str:
    """Give a name as metadata can hold it: a vendor may say anything as its model's."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 3]}..."
    if name.isascii() and name.isprintable():
        return name
    return "".join(
        each if each.isascii() and each.isprintable() else "?" for each in name
    )
