"""How a copy goes, as a bar on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from gateway.cli.console import literal_console
from gateway.cli.copy_passes import Pass


@contextmanager
def progress_to(name: str, *, total: int) -> Iterator[Callable[[Pass], None]]:
    """Show how far a pass is, on stderr; where that is no terminal, nothing.

    Args:
        name: Of the copy.
        total: Documents of the source.

    """
    console = literal_console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        bar = bars.add_task(name, total=total, told="")

        def show(done: Pass) -> None:
            told = f"{done.stored} stored"
            bars.update(
                bar, completed=done.seen, total=max(total, done.seen), told=told
            )

        yield show
