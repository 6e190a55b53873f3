"""How an engine fails, whichever it is.

RetrieverError                                                 transient
 ├ UnknownCollection    there is none of that name                no
 ├ CollectionExists     there is one of that name already         no
 ├ DimensionMismatch    vectors of another length                 no
 ├ EmbedderMismatch     vectors of another model's space          no
 ├ InvalidDocument      a document that cannot be stored          no
 ├ InvalidFilter        a filter with faults                      no
 ├ InvalidPage          no page begins there                      no
 ├ VersionNotReached    not by the deadline                       yes
 ├ ReadOnly             this process does not write               no
 ├ WriterTaken          another process writes                    yes
 ├ StoreFull            no space left                             yes
 ├ DamagedStore         files missing, broken or not ours         no
 ├ MissingEngine        its package is not installed              no
 ├ AccessRefused        our key is missing or wrong               no
 ├ EngineSwitchedOff    none is configured                        no
 └ EngineFailed         anything else it says                     yes
"""

from typing import ClassVar


class RetrieverError(Exception):
    """The engine did not do what was asked; the message is one line and ours to tell."""

    transient: ClassVar[bool] = False
    """The same call may succeed later."""


class UnknownCollection(RetrieverError):
    """There is no collection of that name."""


class CollectionExists(RetrieverError):
    """There is a collection of that name already."""


class DimensionMismatch(RetrieverError):
    """A vector has another dimension than the collection's."""


class EmbedderMismatch(RetrieverError):
    """Vectors of another embedder than the collection's are not comparable with its own."""


class InvalidDocument(RetrieverError):
    """A document cannot be stored; none of its batch was."""


class InvalidFilter(RetrieverError):
    """A filter does not fit the collection's fields."""


class InvalidPage(RetrieverError):
    """What a page is to begin after was never given by this engine."""


class VersionNotReached(RetrieverError):
    """The version that the search has to see was not there by its deadline.

    Args:
        message: One line.
        version: The one that was there.

    """

    transient = True

    def __init__(self, message: str, *, version: int) -> None:
        super().__init__(message)
        self.version = version


class ReadOnly(RetrieverError):
    """This process opened the store for reading."""


class WriterTaken(RetrieverError):
    """Another process holds the store for writing."""

    transient = True


class StoreFull(RetrieverError):
    """No space is left; nothing acknowledged is lost."""

    transient = True


class DamagedStore(RetrieverError):
    """Files are missing, broken or not ours; nothing was changed."""


class MissingEngine(RetrieverError):
    """The engine's package is not installed.

    Args:
        message: One line.
        extra: Of ours, that brings it.

    """

    def __init__(self, message: str, *, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


class AccessRefused(RetrieverError):
    """The engine wants another key than ours, or one at all."""


class EngineSwitchedOff(RetrieverError):
    """The configuration wants no engine."""


class EngineFailed(RetrieverError):
    """The engine failed in a way that it alone understands; the cause has its words."""

    transient = True
