"""How a command ends: 2 for the user's mistakes, 1 for failures, one line on stderr."""

import sys
from typing import NoReturn

MISTAKE = 2
FAILURE = 1


def fail(message: str, code: int = FAILURE) -> NoReturn:
    """Say what is wrong and end the command."""
    print(f"rerank-gateway: {message}", file=sys.stderr)  # noqa: T201 - a command
    raise SystemExit(code)
