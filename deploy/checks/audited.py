"""Say what an audit found: `python audited.py REPORT.json…`, of pip-audit, each with its .log.

Its own exit status is 0 where nobody could be asked, so that it is of no use.
"""

import json
import sys
from pathlib import Path
from typing import Any

NOTHING_KNOWN, VULNERABLE, NOT_AUDITED = 0, 1, 3


def verdict(reports: list[str], log: str) -> tuple[int, list[str]]:
    """Give the exit status, and what is to be said.

    Args:
        reports: As JSON; an empty one stands for a file that nobody could be asked about.
        log: What was said beside them.

    """
    read = [json.loads(each)["dependencies"] if each else [] for each in reports]
    found: list[dict[str, Any]] = [each for report in read for each in report]
    bad = {
        f"{each['name']} {each['version']}: {one['id']}, mended in"
        f" {', '.join(one['fix_versions']) or 'no version yet'}"
        for each in found
        for one in each.get("vulns", ())
    }
    if bad:
        return VULNERABLE, sorted(bad)
    unasked = [each for each in found if "skip_reason" in each]
    if all(read) and not unasked:
        return NOTHING_KNOWN, [f"audit: {len(found)} pins, no known vulnerability"]
    why = [each["skip_reason"] for each in unasked] or log.strip().splitlines()[-1:]
    looked_up = len(found) - len(unasked)
    return NOT_AUDITED, [
        f"NOT AUDITED: {looked_up} pins were looked up, {len(unasked)} could not be;",
        f"{read.count([])} of {len(read)} files could not be begun.",
        "This is no pass. Run it where PyPI's JSON API is reached, or name in OSV_URL a mirror",
        f"of OSV. Why, of the first: {''.join(why[:1])[:200]}",
    ]


def main(reports: list[Path]) -> int:
    """Print it, and give the exit status."""
    logs = [path.with_suffix(".log").read_text("utf-8") for path in reports]
    code, lines = verdict([path.read_text("utf-8") for path in reports], "".join(logs))
    print(*lines, sep="\n", file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]]))
