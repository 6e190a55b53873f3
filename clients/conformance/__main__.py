"""`python -m clients.conformance`: serve the table's gateway until stdin is closed.

One line on stdout says where, when it is ready: `address` for gRPC, as HOST:PORT, and `http`,
the URL of the APIs of vendors.
"""

import json
import sys
from dataclasses import asdict

from clients.conformance.launching import a_gateway


def main() -> None:
    """Serve."""
    with a_gateway() as listening:
        print(json.dumps(asdict(listening)), flush=True)
        sys.stdin.read()


main()
