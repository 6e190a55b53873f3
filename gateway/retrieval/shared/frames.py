"""Messages on a stream: what is said, as JSON, and beside it numbers as they are."""

import asyncio
import struct
from dataclasses import dataclass

# The version of everything that is said; a process of another one is not understood.
_MARK = b"rgw1"
_HEADER = struct.Struct(">4sII")

MOST_BYTES = 128 * 2**20


class BrokenFrame(Exception):
    """What came is no message of ours, or too large for one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    said: bytes
    """JSON."""
    numbers: bytes = b""
    """Single precision, in the machine's order: both ends are on one machine."""

    @property
    def size(self) -> int:
        """How many bytes it needs, without its header."""
        return len(self.said) + len(self.numbers)


async def send(writer: asyncio.StreamWriter, frame: Frame) -> None:
    """Write a message, and wait until the system has taken it."""
    writer.write(_HEADER.pack(_MARK, len(frame.said), len(frame.numbers)))
    writer.write(frame.said)
    writer.write(frame.numbers)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> Frame:
    """Read a message.

    Raises:
        BrokenFrame: It is none of ours, too large, or ends too early.

    """
    try:
        mark, said, numbers = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        if mark != _MARK or said + numbers > MOST_BYTES:
            message = f"a message starts with {mark!r} and has {said + numbers} bytes"
            raise BrokenFrame(message)
        return Frame(await reader.readexactly(said), await reader.readexactly(numbers))
    except asyncio.IncompleteReadError as error:
        message = f"a message ends after {len(error.partial)} bytes"
        raise BrokenFrame(message) from error
