"""Run `python -m gateway` as the command `rerank-gateway`."""

from gateway.cli import main

main()
