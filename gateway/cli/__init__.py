"""The command `rerank-gateway`: with `compose`, the only user of everything else."""

import os
import sys
from typing import cast

# gRPC's own notes on connections that close are of no use beside ours. It reads this
# when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import typer

from gateway.cli.failing import MISTAKE, fail
from gateway.cli.serve import serve
from gateway.cli.worker import worker
from gateway.workers.starting import COMMAND

app = typer.Typer(
    name="rerank-gateway",
    help="A gRPC gateway in front of every reranker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command(COMMAND, hidden=True)(worker)

_SERVING = ("serve", COMMAND)


# What Typer makes of Ctrl-C during a command, and returns as if it were a result.
_INTERRUPTED = 130


class _Mistake(Exception):
    """Stands for the base of all mistakes in click, of which Typer keeps a copy."""

    def format_message(self) -> str:
        """Say what is wrong, and with which option."""
        raise NotImplementedError


_UsageError = cast("type[_Mistake]", typer.BadParameter.__base__)


def _add_others() -> None:
    """Add the commands that ask a gateway."""
    from gateway.cli.backends import backends
    from gateway.cli.check import check
    from gateway.cli.collections import collections
    from gateway.cli.evaluate import evaluate
    from gateway.cli.importing import import_
    from gateway.cli.keys import keys
    from gateway.cli.rerank import rerank
    from gateway.cli.search import search

    for command in (check, backends, rerank, search, collections, evaluate):
        app.command()(command)
    app.command("import")(import_)
    app.add_typer(keys)


def main() -> None:
    """Run one command; a mistake in its arguments is told in one line."""
    # A parent of workers does without gRPC, and all that comes with it.
    if sys.argv[1:2] not in ([name] for name in _SERVING):
        _add_others()
    try:
        interrupted = app(standalone_mode=False) == _INTERRUPTED
    except _UsageError as error:
        if not str(error):  # no command at all: the help is printed already
            raise SystemExit(MISTAKE) from None
        fail(error.format_message(), MISTAKE)
    except (KeyboardInterrupt, typer.Abort):
        interrupted = True
    if interrupted:
        fail("interrupted")
