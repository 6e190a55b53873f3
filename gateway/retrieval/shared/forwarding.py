"""Ask the process that writes: one connection for each call."""

import asyncio
from contextlib import suppress
from pathlib import Path

from gateway.retrieval.errors import EngineFailed
from gateway.retrieval.shared.address import address
from gateway.retrieval.shared.calls import Call, Done, call_frame, read_done
from gateway.retrieval.shared.frames import BrokenFrame, receive, send


class NobodyListens(Exception):
    """There is no owner, or it does not listen yet; nothing was said."""


async def ask(folder: Path, call: Call) -> Done:
    """Have a call done by the owner of the store, and give what came of it.

    Raises:
        NobodyListens: It was not even said.
        RetrieverError: What the owner raised, or it went away, and then nobody knows
            whether it was done.
        ValueError: What the owner raised.

    """
    said = call_frame(call)
    try:
        path = await asyncio.to_thread(address, folder)
        reader, writer = await asyncio.open_unix_connection(path)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise NobodyListens from error
    except OSError as error:
        message = f"{folder}: the process that writes cannot be reached"
        raise EngineFailed(message) from error
    try:
        await send(writer, said)
        return read_done(await receive(reader))
    except (BrokenFrame, OSError) as error:
        message = f"{folder}: the process that writes is gone; it may have written"
        raise EngineFailed(message) from error
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
