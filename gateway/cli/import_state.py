"""How far an import has come, so that it can go on after it was interrupted."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from gateway.settings.places import state_folder


@dataclass(frozen=True, slots=True)
class Source:
    """What is imported into what; another state of either is another source."""

    file: str
    """Its absolute path."""
    size: int
    mtime_ns: int
    collection: str
    create_time_ns: int
    """Of the collection: one of the same name elsewhere, or a new one, has another."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been acknowledged."""

    lines: int = 0
    accepted: int = 0
    rejected: int = 0

    def after(self, *, last_line: int, accepted: int, rejected: int) -> Self:
        """Count one more batch."""
        return replace(
            self,
            lines=last_line,
            accepted=self.accepted + accepted,
            rejected=self.rejected + rejected,
        )


class Remembered:
    """The progress of one source, in a small file."""

    def __init__(
        self, source: Source, *, environ: Mapping[str, str] | None = None
    ) -> None:
        """Remember for a source.

        Args:
            source: Known when the import begins.
            environ: Stands in for the process's environment.

        """
        key = f"{source.file}\0{source.collection}".encode()
        name = f"{hashlib.sha256(key).hexdigest()[:32]}.json"
        self._path = state_folder(environ) / "imports" / name
        self._source = source

    def load(self) -> Progress:
        """Give what is remembered; nothing if the file or the collection is another."""
        try:
            known = json.loads(self._path.read_text("utf-8"))
            if known["source"] == asdict(self._source):
                return Progress(**known["progress"])
        except (OSError, ValueError, KeyError, TypeError):
            # None, or cut short by a crash: importing again from the start is safe.
            pass
        return Progress()

    def save(self, progress: Progress) -> None:
        """Remember.

        Raises:
            OSError: It cannot be written.

        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        told = {"source": asdict(self._source), "progress": asdict(progress)}
        # In one step, or a crash could leave half of it.
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(told), "utf-8")
        new.replace(self._path)


def source_of(file: str, collection: str, *, create_time_ns: int) -> Source:
    """Look at a file as it is now.

    Raises:
        OSError: It is not there.

    """
    path = Path(file).resolve()
    found = path.stat()
    return Source(
        file=str(path),
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        collection=collection,
        create_time_ns=create_time_ns,
    )
