"""Write JSON schemas of Kubernetes' objects as kubeconform finds them: `<kind>-<group>-<version>`.

`python schemas.py kubernetes FOLDER VERSION` takes those that the package kubernetes-validate
has; `python schemas.py definitions FOLDER FILE…` makes them of custom resource definitions.
"""

import json
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-not-found] # of another environment
import yaml


def kubernetes(folder: Path, version: str) -> None:
    """Let files name each other by their paths instead of by addresses."""
    (package,) = kubernetes_validate.__path__
    taken = Path(package) / "kubernetes-json-schema" / f"v{version}-local-strict"
    for path in taken.glob("*.json"):
        schema = json.loads(path.read_text("utf-8"))
        schema.pop("$id", None)
        text = json.dumps(schema).replace(
            '"/api/_definitions.json#', '"_definitions.json#'
        )
        (folder / path.name).write_text(text, "utf-8")


def definitions(folder: Path, *files: str) -> None:
    """Write a schema for each version of each definition."""
    for file in files:
        spec = yaml.safe_load(Path(file).read_text("utf-8"))["spec"]
        kind, group = spec["names"]["kind"].lower(), spec["group"].partition(".")[0]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # What every object has, whatever its kind, is not part of its definition.
            schema["properties"]["metadata"] = {"type": "object"}
            path = folder / f"{kind}-{group}-{version['name']}.json"
            path.write_text(json.dumps(schema), "utf-8")


def strict(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Refuse unknown fields: a real server would drop them without a word."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    turned = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get(
        "x-kubernetes-preserve-unknown-fields"
    ):
        turned.setdefault("additionalProperties", False)
    return turned


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    Path(where).mkdir(parents=True, exist_ok=True)
    if what == "kubernetes":
        kubernetes(Path(where), *rest)
    else:
        definitions(Path(where), *rest)
