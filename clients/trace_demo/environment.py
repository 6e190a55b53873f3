"""What the demo's programs inherit."""

import os


def without(*prefixes: str) -> dict[str, str]:
    """Give the variables of this process, less those that would configure a program.

    Nothing here is configured by what the user has set for other purposes, and no proxy
    stands between programs of one machine.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefixes)
    }
    return kept | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
