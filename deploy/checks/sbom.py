"""Write down what is in the image, in CycloneDX: `python sbom.py ENVIRONMENT OUT`.

ENVIRONMENT is what cyclonedx-py says of an environment that has more than the image, such as
tests; what stays is what deploy/container/requirements.txt pins, with its hashes.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).parents[1] / "container" / "requirements.txt"


def hashes(text: str) -> dict[str, list[str]]:
    """Give the SHA-256 of each package's files, by name and version."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if begun := re.match(r"([\w.-]+)==([^ ;\\]+)", line):
            last = found.setdefault(key(begun[1], begun[2]), [])
        elif hashed := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            last.append(hashed[1])
    return found


def key(name: str, version: str) -> str:
    """Write a package as it is compared."""
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def pruned(whole: dict[str, Any], pins: dict[str, list[str]]) -> dict[str, Any]:
    """Keep what is pinned, and the lines between what is kept."""
    kept = [
        {**each, "hashes": [{"alg": "SHA-256", "content": one} for one in sums]}
        for each in whole["components"]
        if (sums := pins.get(key(each["name"], each["version"]))) is not None
    ]
    refs = {each["bom-ref"] for each in kept}
    refs.add(whole["metadata"]["component"]["bom-ref"])
    lines = [
        {**each, "dependsOn": [on for on in each.get("dependsOn", ()) if on in refs]}
        for each in whole["dependencies"]
        if each["ref"] in refs
    ]
    return {**whole, "components": kept, "dependencies": lines}


def main(environment: Path, out: Path) -> None:
    """Write it."""
    whole = json.loads(environment.read_text("utf-8"))
    made = pruned(whole, hashes(REQUIREMENTS.read_text("utf-8")))
    out.write_text(json.dumps(made, indent=2) + "\n", "utf-8")
    print(f"{out}: {len(made['components'])} components")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
