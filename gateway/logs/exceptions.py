"""Say where an exception comes from, and never its message, which may quote a document."""

import traceback
from types import TracebackType

_MOST_CAUSES = 3
_MOST_PLACES = 12


def in_words(error: BaseException) -> str:
    """Name the type of an exception and its places, the innermost first; then its causes."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause and len(said) < _MOST_CAUSES:
        places = _places(cause.__traceback__)
        said.append(f"{type(cause).__name__} at {places or 'no place'}")
        hidden = cause.__suppress_context__
        cause = cause.__cause__ or (None if hidden else cause.__context__)
    return ", from ".join(said)


def _places(where: TracebackType | None) -> str:
    frames = [
        f"{frame.f_code.co_filename.rpartition('/')[2]}:{line}"
        for frame, line in traceback.walk_tb(where)
    ]
    return " < ".join(frames[: -_MOST_PLACES - 1 : -1])
