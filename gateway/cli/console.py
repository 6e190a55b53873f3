"""Where commands print for people: what others wrote appears as they wrote it."""

from rich.console import Console


def literal_console(*, stderr: bool = False) -> Console:
    """Make a console that takes no text for markup; colours come with `Text` alone.

    A model's name comes from its server and a file's from its user: `x[/red]` in one of
    them would end the command, and `[local]` or `:key:` would be replaced.
    """
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
