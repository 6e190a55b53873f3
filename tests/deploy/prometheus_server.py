"""A real Prometheus of a test's own, with the product's configuration."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.places import OBSERVABILITY, free_port

_PATIENCE_S = 20.0


class Prometheus:
    """Scrapes each second, and answers questions about it."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=_PATIENCE_S, trust_env=False
        )

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def values(self, expression: str, since: float) -> list[Any]:
        """Ask for all values since a moment: a list of series.

        Args:
            expression: In PromQL.
            since: Seconds of the clock on the wall.

        """
        answered: list[Any] = self._get(
            "query_range", query=expression, start=since, end=time.time(), step=1
        )["result"]
        return answered

    def label_values(self, label: str, series: str) -> list[str]:
        answered: list[str] = self._get(f"label/{label}/values", **{"match[]": series})
        return answered

    def rules(self) -> list[Any]:
        return [
            rule for group in self._get("rules")["groups"] for rule in group["rules"]
        ]

    def targets(self) -> dict[str, str]:
        """Tell of each job whether it is up, and else why not."""
        return {
            target["labels"]["job"]: target["lastError"] or target["health"]
            for target in self._get("targets")["activeTargets"]
        }

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, **parameters: Any) -> Any:
        answered = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answered["status"] == "success", answered
        return answered["data"]


@contextmanager
def a_prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """Run one for the block.

    Args:
        folder: For what it stores, and its configuration.
        targets: By job of the product's configuration, where it really is.

    """
    configured = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    configured["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configured["rule_files"] = [
        str(OBSERVABILITY / each) for each in configured["rule_files"]
    ]
    for job in configured["scrape_configs"]:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configured))
    port = free_port()
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - a package of Debian's
            [
                binary("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
        )
    server = Prometheus(port)
    try:
        until = time.monotonic() + _PATIENCE_S
        while not server.is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "prometheus.log").read_text())
            time.sleep(0.1)
        yield server
    finally:
        server.close()
        process.kill()
        process.wait()


def binary(name: str) -> str:
    """Find a command of Debian's package, or skip the test that wants it."""
    found = shutil.which(name)
    if found:
        return found
    message = f"no {name}: apt-get install --no-install-recommends prometheus"
    if not os.environ.get("CI"):
        pytest.skip(message)
    # Never skipped there: what nobody runs, nobody knows to work.
    raise FileNotFoundError(message)
