"""Where the files are that are tested here."""

from pathlib import Path

OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"
RECORDED = Path(__file__).parent / "recorded"
