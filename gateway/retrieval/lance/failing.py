"""What LanceDB raises, in our words: it has no exceptions of its own to tell apart."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.retrieval.errors import EngineFailed, StoreFull

# The last: a limit on one file, which is no less of an end.
_FULL = (
    *("no space left", "os error 28"),
    *("quota exceeded", "os error 122"),
    *("file too large", "os error 27"),
)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn whatever the engine raises in the block into a `RetrieverError`.

    Its words may contain what a caller sent, so they stay in the cause.
    """
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        words = str(error).lower()
        numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if getattr(error, "errno", None) in numbers or any(
            each in words for each in _FULL
        ):
            message = f"{what}: no space is left"
            raise StoreFull(message) from error
        message = f"{what}: the engine failed ({type(error).__name__})"
        raise EngineFailed(message) from error
