"""The parts of the stack fit together: what one names, another one has."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import RetrievalSettings, RouteSettings
from tests.deploy import drawn, emitted
from tests.deploy.places import OBSERVABILITY


def read(*path: str) -> Any:
    return yaml.safe_load(OBSERVABILITY.joinpath(*path).read_text())


COMPOSE = read("compose.yaml")
SERVICES = COMPOSE["services"]
COLLECTOR = read("otelcol.yaml")
PIPELINES = COLLECTOR["service"]["pipelines"]
SAMPLING = COLLECTOR["processors"]["tail_sampling"]
COUNTING = COLLECTOR["connectors"]["span_metrics"]
TEMPO = read("tempo.yaml")
PROMETHEUS = read("prometheus.yml")
SOURCES = read("grafana", "provisioning", "datasources", "datasources.yaml")[
    "datasources"
]

COMPONENTS = {
    "receivers": {"otlp"},
    "processors": {"batch", "memory_limiter", "tail_sampling"},
    "connectors": {"span_metrics"},
    "exporters": {"otlp_grpc", "prometheus"},
}
"""Of the collector's image, those that were tried."""


def seconds(text: str) -> float:
    number = float(text.rstrip("ms"))
    return number / 1000 if text.endswith("ms") else number


def port(address: str) -> str:
    return address.rpartition(":")[2]


def test_the_collector_has_every_component_that_it_names() -> None:
    for kind, known in COMPONENTS.items():
        assert {name.partition("/")[0] for name in COLLECTOR[kind]} <= known


def test_the_collector_uses_what_it_has_and_no_more() -> None:
    connectors = set(COLLECTOR["connectors"])
    for kind in ("receivers", "processors", "exporters"):
        used = {
            name for each in PIPELINES.values() for name in each.get(kind, ())
        } - connectors
        assert used == set(COLLECTOR[kind]), kind
    for name in connectors:
        assert any(name in each["exporters"] for each in PIPELINES.values())
        assert any(name in each["receivers"] for each in PIPELINES.values())


def test_the_collector_takes_no_more_than_it_has_memory_for() -> None:
    for each in PIPELINES.values():
        if "otlp" in each["receivers"]:
            assert each["processors"][0] == "memory_limiter"


def test_spans_are_counted_before_any_is_thrown_away() -> None:
    (counted,) = (
        each for each in PIPELINES.values() if "span_metrics" in each["exporters"]
    )
    assert "tail_sampling" not in counted["processors"]


def test_a_trace_is_complete_before_its_fate_is_decided() -> None:
    longest = RetrievalSettings().timeout_s + RouteSettings().timeout_s
    assert seconds(SAMPLING["decision_wait"]) > longest


def test_the_collector_reads_attributes_that_spans_have() -> None:
    named = {each["name"] for each in COUNTING["dimensions"]}
    named |= {
        policy[policy["type"]]["key"]
        for policy in SAMPLING["policies"]
        if policy["type"].endswith("_attribute")
    }
    assert named <= emitted.on_spans()


def test_spans_have_the_buckets_of_calls() -> None:
    assert COUNTING["histogram"]["unit"] == "s"
    assert [seconds(each) for each in COUNTING["histogram"]["explicit"]["buckets"]] == [
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    ]


def test_who_speaks_to_whom_is_there_and_listens() -> None:
    to_tempo = COLLECTOR["exporters"]["otlp_grpc/tempo"]["endpoint"]
    grpc = TEMPO["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert to_tempo == f"tempo:{port(grpc)}"

    jobs = {
        each["job_name"]: each["static_configs"][0]["targets"]
        for each in PROMETHEUS["scrape_configs"]
    }
    shown = COLLECTOR["exporters"]["prometheus"]["endpoint"]
    assert jobs["otelcol"] == [f"otelcol:{port(shown)}"]
    assert "host.docker.internal:host-gateway" in SERVICES["prometheus"]["extra_hosts"]

    urls = {each["uid"]: each["url"] for each in SOURCES}
    assert urls == {
        "prometheus": "http://prometheus:9090",
        "tempo": f"http://tempo:{TEMPO['server']['http_listen_port']}",
    }
    assert {"otelcol", "prometheus", "tempo"} <= set(SERVICES)

    received = COLLECTOR["receivers"]["otlp"]["protocols"].values()
    assert {f"127.0.0.1:{port(each['endpoint'])}" for each in received} == {
        each.rpartition(":")[0] for each in SERVICES["otelcol"]["ports"]
    }


def test_files_are_mounted_that_there_are() -> None:
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            if source.startswith("./"):
                assert (OBSERVABILITY / source).exists(), name
                assert volume.endswith(":ro"), name
            else:
                assert source in COMPOSE["volumes"], name
            assert target.startswith("/")


def test_commands_name_files_that_are_mounted() -> None:
    for name, service in SERVICES.items():
        mounted = {volume.split(":")[1] for volume in service["volumes"]}
        for argument in service.get("command", ()):
            if "config" in argument:
                assert argument.partition("=")[2] in mounted, name


def test_nothing_is_open_to_other_machines() -> None:
    for service in SERVICES.values():
        for published in service.get("ports", ()):
            assert published.startswith("127.0.0.1:")


def test_images_are_of_one_version() -> None:
    for service in SERVICES.values():
        _, _, version = service["image"].partition(":")
        assert version
        assert version != "latest"


def test_grafana_finds_its_dashboards_and_their_sources() -> None:
    (provider,) = read("grafana", "provisioning", "dashboards", "dashboards.yaml")[
        "providers"
    ]
    mounts = dict(volume.split(":")[1::-1] for volume in SERVICES["grafana"]["volumes"])
    assert mounts[provider["options"]["path"]] == "./grafana/dashboards"

    home = SERVICES["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert Path(home).parent == Path(provider["options"]["path"])
    assert Path(home).name in drawn.dashboards()

    known = {(each["type"], each["uid"]) for each in SOURCES}
    for panel in drawn.panels():
        for each in (panel, *panel["targets"]):
            source = each["datasource"]
            assert (source["type"], source["uid"]) in known, panel["title"]


def test_dots_on_lines_lead_to_traces() -> None:
    (prometheus,) = (each for each in SOURCES if each["uid"] == "prometheus")
    (to,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert to == {"name": "trace_id", "datasourceUid": "tempo"}
    assert COLLECTOR["exporters"]["prometheus"]["enable_open_metrics"]
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


def test_a_real_collector_takes_its_configuration() -> None:
    collector = os.environ.get("OTELCOL_BINARY")
    if not collector:
        pytest.skip("no collector: OTELCOL_BINARY=PATH")
    done = subprocess.run(  # noqa: S603 - named by whoever runs this
        [collector, "validate", "--config", str(OBSERVABILITY / "otelcol.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
