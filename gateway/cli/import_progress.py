"""How an import goes, as a bar on a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from gateway.cli.console import literal_console


class ImportProgress:
    """The bar of one file."""

    def __init__(self, bars: Progress, bar: TaskID) -> None:
        """Move a bar among others."""
        self._bars = bars
        self._bar = bar
        self._began = time.monotonic()
        self._before: int | None = None

    def show(self, read_bytes: int, *, accepted: int) -> None:
        """Move on.

        Args:
            read_bytes: Of the file as it lies there.
            accepted: Documents stored, those of an earlier run included.

        """
        if self._before is None:
            # The rate is that of this run, from its first answer.
            self._before, self._began = accepted, time.monotonic()
        seconds = time.monotonic() - self._began
        now = accepted - self._before
        rate = f", {now / seconds:.0f}/s" if now else ""
        self._bars.update(
            self._bar, completed=read_bytes, told=f"{accepted} documents{rate}"
        )


@contextmanager
def progress_of(file: str) -> Iterator[ImportProgress]:
    """Show how far a file is read, on stderr; where that is no terminal, nothing.

    Args:
        file: Its path; `-` has no known end.

    """
    console = literal_console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        size = None if file == "-" else Path(file).stat().st_size
        yield ImportProgress(bars, bars.add_task(Path(file).name, total=size, told=""))
