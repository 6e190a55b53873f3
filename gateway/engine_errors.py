"""What an engine raises, as what a caller is told."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import (
    CollectionAlreadyThere,
    CollectionNotFound,
    InvalidRequest,
    RetrievalNotConfigured,
    RetrievalUnavailable,
    TooOld,
    Violation,
)
from gateway.retrieval.errors import (
    CollectionExists,
    DimensionMismatch,
    EmbedderMismatch,
    EngineSwitchedOff,
    InvalidFilter,
    InvalidPage,
    MissingEngine,
    RetrieverError,
    UnknownCollection,
    VersionNotReached,
)


@contextmanager
def told_to_caller(collection: str, *, min_version: int = 0) -> Iterator[None]:
    """Turn every `RetrieverError` of the block into a `GatewayError`.

    Args:
        collection: The one that the block works on.
        min_version: The version that it has to see.

    """
    try:
        yield
    except UnknownCollection as error:
        raise CollectionNotFound(collection) from error
    except CollectionExists as error:
        raise CollectionAlreadyThere(collection) from error
    except VersionNotReached as error:
        raise TooOld(
            collection, version=error.version, min_version=min_version
        ) from error
    except InvalidFilter as error:
        path, _, description = str(error).partition(": ")
        raise InvalidRequest((Violation(path, description),)) from error
    except InvalidPage as error:
        said = "is none that this server gave"
        raise InvalidRequest((Violation("page_token", said),)) from error
    except (DimensionMismatch, EmbedderMismatch) as error:
        raise InvalidRequest((Violation("embedding", str(error)),)) from error
    except MissingEngine as error:
        raise RetrievalNotConfigured(str(error), missing=error.extra) from error
    except EngineSwitchedOff as error:
        raise RetrievalNotConfigured(str(error)) from error
    except RetrieverError as error:
        raise RetrievalUnavailable(str(error), component="engine") from error
