"""Our names as Weaviate's: classes begin with a capital letter, objects are named by UUIDs."""

import hashlib
from uuid import UUID

from gateway.retrieval.layout import COLLECTION_NAME


def class_of(name: str, prefix: str) -> str:
    """Name the class of a collection.

    Args:
        name: A collection's.
        prefix: Begins with a capital letter; empty: that of the name is made one.

    """
    return f"{prefix}{name}" if prefix else name[0].upper() + name[1:]


def name_of(given: str, prefix: str) -> str | None:
    """Name the collection of a class; None: it is none of ours."""
    if not given.startswith(prefix):
        return None
    name = given.removeprefix(prefix)
    if not prefix:
        name = name[0].lower() + name[1:]
    return (
        name
        if COLLECTION_NAME.fullmatch(name) and class_of(name, prefix) == given
        else None
    )


def object_id(name: str) -> str:
    """Name the object of a document."""
    # With a hash that nobody can find two texts of, or one would displace the other.
    digest = hashlib.blake2b(name.encode(), digest_size=16)
    return str(UUID(bytes=digest.digest()))
