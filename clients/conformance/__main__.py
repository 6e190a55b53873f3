"""`python -m clients.conformance`: serve the table's gateway until stdin is closed.

One line on stdout says where, when it is ready: `{"address": "127.0.0.1:12345"}`.
"""

import json
import sys

from clients.conformance.launching import a_gateway


def main() -> None:
    """Serve."""
    with a_gateway() as address:
        print(json.dumps({"address": address}), flush=True)
        sys.stdin.read()


main()
