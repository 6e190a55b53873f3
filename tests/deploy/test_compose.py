"""The deployment by Compose fits together; `make compose-check` holds it to the specification."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from gateway.settings import Settings, load
from tests.deploy.places import DEPLOY, OBSERVABILITY
from tests.deploy.test_image import FINAL
from tests.deploy.tools import tool

HERE = DEPLOY / "compose"
WRITTEN = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]

NOTHING_TO_ASK_WITH = {"otelcol", "tempo"}
"""Images without a shell or a client."""


@cache
def services() -> dict[str, Any]:
    """Give what the specification's own library makes of it, with what it extends."""
    done = subprocess.run(  # noqa: S603 - a pinned tool
        [tool("compose"), "-no-interpolation", "-format", "json", "compose.yaml"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def settings(tmp_path: Path) -> Settings:
    environment = WRITTEN["gateway"]["environment"]
    return load(HERE / "gateway.toml", environ={**environment, "HOME": str(tmp_path)})


def test_each_part_has_its_limits() -> None:
    for name, service in services().items():
        limits = service["deploy"]["resources"]["limits"]
        assert set(limits) >= {"cpus", "memory"}, name


def test_each_part_says_whether_it_is_well() -> None:
    asked = {name for name, service in services().items() if "healthcheck" in service}
    assert FINAL.last("HEALTHCHECK")
    assert set(services()) - asked == NOTHING_TO_ASK_WITH | {"gateway"}


def test_nothing_is_open_to_other_machines() -> None:
    for name, service in services().items():
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1", name


def test_images_are_of_one_version() -> None:
    for service in services().values():
        version = service["image"].partition(":")[2]
        assert version
        assert "latest" not in version


def test_mounted_files_are_there_and_stay_as_they_are() -> None:
    mounted = 0
    for service in services().values():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists()
                assert volume["read_only"]
                mounted += 1
    assert mounted > 5


def test_the_gateway_runs_with_nothing_that_it_does_not_need() -> None:
    gateway = services()["gateway"]
    assert gateway["read_only"]
    assert gateway["cap_drop"] == ["ALL"]
    assert gateway["security_opt"] == ["no-new-privileges:true"]
    (data,) = (each for each in gateway["volumes"] if each["type"] == "volume")
    assert data["target"] == FINAL.last("VOLUME")


def test_its_secret_must_be_given() -> None:
    assert WRITTEN["gateway"]["environment"]["RERANK_CACHE_KEY"].startswith(
        "${RERANK_CACHE_KEY:?"
    )


def test_the_gateway_takes_its_configuration(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert not found.cache.problem
    assert found.routes["default"].backends == ("tei", "local")


def test_a_stop_waits_for_calls_in_flight(tmp_path: Path) -> None:
    grace = WRITTEN["gateway"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) >= settings(tmp_path).server.grace_s + 5


def test_who_is_named_is_there(tmp_path: Path) -> None:
    found = settings(tmp_path)
    named = [
        found.cache.url,
        *(backend.url for backend in found.backends.values() if backend.url),
        WRITTEN["gateway"]["environment"]["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
    ]
    hosts = [re.findall(r"://([^:/]+)", url)[0] for url in named]
    assert set(hosts) == {"redis", "tei", "otelcol"}
    assert set(hosts) <= set(services())


def test_prometheus_differs_only_in_where_the_gateway_is() -> None:
    here = yaml.safe_load((HERE / "prometheus.yml").read_text())
    there = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    (job,) = (
        each for each in there["scrape_configs"] if each["job_name"] == "rerank-gateway"
    )
    port = job["static_configs"][0]["targets"][0].rpartition(":")[2]
    job["static_configs"] = [{"targets": [f"gateway:{port}"]}]
    assert here == there
    mounts = {
        each["target"]: each["source"] for each in services()["prometheus"]["volumes"]
    }
    assert mounts["/etc/prometheus/prometheus.yml"] == str(HERE / "prometheus.yml")


# Asking in a shell, where there is nothing else


class _Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path in ("/health", "/readyz") else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int) -> Iterator[int]:
    handler = type("Answers", (_Answers,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.real_time
@pytest.mark.parametrize("name", ["tei", "qdrant"])
@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False)])
def test_a_shell_finds_out_who_is_well(
    name: str, status: int, *, is_well: bool
) -> None:
    kind, *command = WRITTEN[name]["healthcheck"]["test"]
    assert kind == "CMD"
    with answering(status) as port:
        command[-1] = re.sub(r"127\.0\.0\.1/\d+", f"127.0.0.1/{port}", command[-1])
        done = subprocess.run(command, check=False, timeout=20)  # noqa: S603 - ours
    assert (done.returncode == 0) is is_well


@pytest.mark.real_time
def test_a_shell_finds_out_that_nobody_is_there() -> None:
    with answering(200) as port:
        pass
    _, *command = WRITTEN["tei"]["healthcheck"]["test"]
    command[-1] = command[-1].replace("127.0.0.1/80", f"127.0.0.1/{port}")
    done = subprocess.run(  # noqa: S603 - ours
        command, check=False, timeout=20, stderr=subprocess.DEVNULL
    )
    assert done.returncode
