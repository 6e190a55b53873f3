"""Load the bundled encoder once, for whoever needs it: scorer, embedder, or both."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.backends.local.encoder import Encoder


class CannotOpen(Exception):
    """Why a model cannot be used, in one line."""


async def bundled_encoder() -> "Encoder":
    """Load it in a thread: half a second, in which nothing else could start.

    Raises:
        CannotOpen: A package is missing, or a file is damaged.

    """
    return await asyncio.to_thread(_load)


@cache
def _load() -> "Encoder":
    try:
        from gateway.backends.local.encoder import ENCODER_DIRECTORY, Encoder
        from gateway.backends.local.inference import UnusableModel
    except ImportError as error:
        message = f"{error.name} is missing: pip install 'rerank-gateway[local]'"
        raise CannotOpen(message) from error
    try:
        return Encoder.load(ENCODER_DIRECTORY)
    except UnusableModel as error:
        raise CannotOpen(str(error)) from error
