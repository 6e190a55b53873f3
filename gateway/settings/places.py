"""Where the gateway keeps what is to last: data, and how far a command has come.

The XDG base directories; on macOS, where these are not usual, the user's Library.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_NAME = "rerank-gateway"


def data_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Say where collections are kept where the configuration names no folder.

    It need not exist.

    Args:
        environ: Stands in for the process's environment.

    """
    return _folder("XDG_DATA_HOME", ".local/share", environ)


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Say where a command remembers how far it has come.

    It need not exist. What lies there may be deleted at any time.

    Args:
        environ: Stands in for the process's environment.

    """
    return _folder("XDG_STATE_HOME", ".local/state", environ)


def _folder(variable: str, below_home: str, environ: Mapping[str, str] | None) -> Path:
    env = os.environ if environ is None else environ
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    named = Path(env.get(variable, ""))
    # The specification wants relative ones to be ignored.
    if named.is_absolute():
        return named / _NAME
    if sys.platform == "darwin":
        return home / "Library/Application Support" / _NAME
    return home / below_home / _NAME
