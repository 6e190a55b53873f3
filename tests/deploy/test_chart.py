"""The Helm chart: what it makes of values. `make helm-check` holds it to Kubernetes' schemas."""

import json
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import Settings, load
from gateway.telemetry.catalogue import SERVER_IN_FLIGHT
from tests.deploy.places import DEPLOY, OBSERVABILITY
from tests.deploy.test_image import FINAL
from tests.deploy.tools import tool
from tests.e2e.subprocesses import command, serving
from tests.support.identities import Authority

CHART = DEPLOY / "helm" / "rerank-gateway"
VALUES = sorted(CHART.glob("ci/*-values.yaml"))
KUBERNETES = "1.37.0"

Object = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a pinned tool
        [
            tool("helm"),
            "template",
            "gw",
            str(CHART),
            "--kube-version",
            KUBERNETES,
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def made(*arguments: str) -> dict[str, Object]:
    """Fill the chart, and give its objects by kind, and by what their name ends in."""
    done = helm(*arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Object] = {}
    for each in yaml.safe_load_all(done.stdout):
        if each is not None:
            kind = each["kind"]
            suffix = each["metadata"]["name"].rpartition("-")[2].title()
            if suffix in ("Headless", "Health", "Dashboards"):
                kind += suffix
            assert kind not in found
            found[kind] = each
    return found


def of(name: str) -> dict[str, Object]:
    return made("-f", str(CHART / "ci" / f"{name}-values.yaml"))


def minimal(*more: str) -> dict[str, Object]:
    return made("-f", str(CHART / "ci/minimal-values.yaml"), *more)


def workload(objects: Mapping[str, Object]) -> Object:
    found: Object = objects.get("Deployment") or objects["StatefulSet"]
    return found


def pod(objects: Mapping[str, Object]) -> Object:
    spec: Object = workload(objects)["spec"]["template"]["spec"]
    return spec


def gateway(objects: Mapping[str, Object]) -> Object:
    (container,) = pod(objects)["containers"]
    found: Object = container
    return found


def environment(objects: Mapping[str, Object]) -> dict[str, str]:
    """Give what the pod's process finds, with secrets that are made up."""
    return {
        each["name"]: each.get("value", "secret") for each in gateway(objects)["env"]
    }


def environ_in(objects: Mapping[str, Object], folder: Path) -> dict[str, str]:
    """Give a pod's environment, with what is mounted in a folder of the test."""
    file = folder / "gateway.toml"
    file.write_text(objects["ConfigMap"]["data"]["gateway.toml"])
    for name, mounted in tls_files(objects).items():
        place = folder / "run/tls" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(mounted.read_bytes())
    environ = {
        name: value.replace("/run/tls/", f"{folder}/run/tls/")
        for name, value in environment(objects).items()
    }
    return {**environ, "RERANK_GATEWAY_CONFIG": str(file), "HOME": str(folder)}


def settings(objects: Mapping[str, Object], folder: Path) -> Settings:
    """Read the configuration as the pod's process does."""
    return load(environ=environ_in(objects, folder))


@cache
def signed() -> Mapping[tuple[str, str], Path]:
    """Make what the secrets of ci/tls-values.yaml hold, by secret and key."""
    folder = Path(tempfile.mkdtemp())
    authority, callers = Authority(folder), Authority(folder, "callers")
    # Of the service, and not of the address that a probe asks.
    server = authority.signed("server", domain="gw-rerank-gateway.default.svc")
    probe = callers.signed("probe")
    return {
        ("gateway-tls", "tls.crt"): server.certificate,
        ("gateway-tls", "tls.key"): server.key,
        ("gateway-tls", "ca.crt"): authority.file,
        ("callers-ca", "ca.crt"): callers.file,
        ("gateway-probe-tls", "tls.crt"): probe.certificate,
        ("gateway-probe-tls", "tls.key"): probe.key,
    }


def tls_files(objects: Mapping[str, Object], of_pod: str = "") -> dict[str, Path]:
    """Give what a pod finds below /run/tls.

    Args:
        objects: Those of the chart.
        of_pod: Of the pod of this kind instead of the gateway's.

    """
    spec = objects[of_pod]["spec"] if of_pod else pod(objects)
    return {
        item["path"]: signed()[source["secret"]["name"], item["key"]]
        for volume in spec.get("volumes", ())
        if volume["name"] == "tls"
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


# What the gateway makes of it


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_gateway_takes_what_a_pod_gives_it(values: Path, tmp_path: Path) -> None:
    objects = made("-f", str(values))
    found = settings(objects, tmp_path)
    ports = {each["name"]: each["containerPort"] for each in gateway(objects)["ports"]}
    assert found.server.address == f"0.0.0.0:{ports['grpc']}"
    assert found.telemetry.metrics_address == f"0.0.0.0:{ports['metrics']}"
    mounted = {each["mountPath"] for each in gateway(objects)["volumeMounts"]}
    for backend in found.backends.values():
        folder = str(Path(backend.api_key_file).parent)
        assert not backend.api_key_file or folder in mounted
        assert not backend.problem or backend.api_key_file
    assert not found.cache.problem


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_a_pod_may_stop_as_long_as_its_calls_may_take(
    values: Path, tmp_path: Path
) -> None:
    objects = made("-f", str(values))
    grace_s = settings(objects, tmp_path).server.grace_s
    hook = gateway(objects).get("lifecycle", {}).get("preStop", {})
    leaves_s = hook.get("sleep", {}).get("seconds", 0)
    assert pod(objects)["terminationGracePeriodSeconds"] >= leaves_s + grace_s + 5


def test_collections_are_off_unless_said(tmp_path: Path) -> None:
    assert settings(minimal(), tmp_path).retrieval.engine == "none"


def test_the_configuration_itself_may_say_the_engine(tmp_path: Path) -> None:
    objects = minimal(
        *("--set", "collections.engine=configured"),
        *("--set-string", 'config=[retrieval]\nengine = "none"\n'),
    )
    assert "RERANK_GATEWAY__RETRIEVAL__ENGINE" not in environment(objects)
    assert settings(objects, tmp_path).retrieval.engine == "none"


def test_a_configuration_is_not_read_for_templates() -> None:
    toml = '[backends.x]\nmodel = "{{ .Values }} # é"\n'
    objects = minimal("--set-literal", f"config={toml}")
    assert objects["ConfigMap"]["data"]["gateway.toml"] == toml


def test_another_configuration_starts_other_pods() -> None:
    def stamp(objects: Mapping[str, Object]) -> str:
        metadata = workload(objects)["spec"]["template"]["metadata"]
        found: str = metadata["annotations"]["checksum/config"]
        return found

    other = minimal("--set-string", "config=# another")
    assert stamp(minimal()) != stamp(other)


# Safety


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_pods_are_what_the_strictest_standard_admits(values: Path) -> None:
    """Kubernetes' Pod Security Standard `restricted`, and a root file system to read."""
    objects = made("-f", str(values))
    for each in (pod(objects), objects["PodHealth"]["spec"]):
        assert each["securityContext"]["runAsNonRoot"]
        assert each["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not each["automountServiceAccountToken"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(each)
        (container,) = each["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        for volume in each.get("volumes", ()):
            (kind,) = set(volume) - {"name"}
            assert kind in {"configMap", "emptyDir", "projected"}


def test_its_user_is_that_of_the_image() -> None:
    context = pod(minimal())["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == FINAL.last("USER")
    mounts = {each["name"]: each for each in gateway(minimal())["volumeMounts"]}
    assert mounts["data"]["mountPath"] == FINAL.last("VOLUME")


def test_secrets_are_in_no_object_of_ours() -> None:
    objects = of("production")
    assert "api-key" not in json.dumps(objects["ConfigMap"])
    assert not [kind for kind in objects if kind.startswith("Secret")]
    for each in (*pod(objects)["volumes"], *pod(of("tls"))["volumes"]):
        if "projected" in each:
            assert each["projected"]["defaultMode"] == 0o440


def test_the_network_is_closed_but_for_what_is_said() -> None:
    policy = of("everything")["NetworkPolicy"]["spec"]
    labels = of("everything")["PodHealth"]["metadata"]["labels"]
    tester = policy["ingress"][0]["from"][-1]
    assert tester["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [(rule["ports"][0]["port"], rule["from"]) for rule in policy["ingress"]] == [
        ("grpc", [{"podSelector": {"matchLabels": {"calls": "gateway"}}}, tester]),
        ("metrics", [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]),
    ]
    names, nim = policy["egress"]
    assert {each["port"] for each in names["ports"]} == {53}
    assert nim["ports"] == [{"port": 8000}]


def test_the_cloud_s_own_metadata_is_out_of_reach_by_default() -> None:
    rules = minimal()["NetworkPolicy"]["spec"]["egress"]
    (https,) = (rule for rule in rules if rule.get("ports") == [{"port": 443}])
    excepted = [each["ipBlock"]["except"] for each in https["to"]]
    assert excepted == [["169.254.0.0/16"], ["fe80::/10", "fd00:ec2::254/128"]]


def test_every_selector_finds_pods_and_only_the_gateway_s() -> None:
    objects = of("production")
    labels = workload(objects)["spec"]["template"]["metadata"]["labels"]
    for selector in (
        objects["Service"]["spec"]["selector"],
        objects["ServiceHeadless"]["spec"]["selector"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        workload(objects)["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        tester = objects["PodHealth"]["metadata"]["labels"]
        assert not selector.items() <= tester.items()


# Health, stops and scaling


def test_probes_speak_grpc_to_the_port_that_serves() -> None:
    container = gateway(minimal())
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["grpc"]["port"] == 50051
    assert container["readinessProbe"]["grpc"]["service"] == "rerank.v1.RerankService"
    patience = {
        name: container[name]["periodSeconds"] * container[name]["failureThreshold"]
        for name in ("readinessProbe", "livenessProbe")
    }
    assert patience["readinessProbe"] < patience["livenessProbe"]


def test_probes_have_patience_with_python_where_they_start_it() -> None:
    container = gateway(of("tls"))
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "grpc" not in container[name]
        assert container[name]["exec"]["command"][:2] == ["rerank-gateway", "health"]
        # A second, on a core that is idle.
        assert container[name]["timeoutSeconds"] >= 10
    per_minute = sum(
        60 / container[name]["periodSeconds"]
        for name in ("readinessProbe", "livenessProbe")
    )
    assert per_minute <= 10
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 300


@pytest.mark.real_time
async def test_probes_get_through_tls_with_a_certificate(tmp_path: Path) -> None:
    """Run a pod's process, its probes, and `helm test`, with the files of its secrets."""
    objects = of("tls")
    environ = environ_in(objects, tmp_path) | {
        "RERANK_GATEWAY__SERVER__WORKERS": "1",
        "RERANK_GATEWAY__HTTP__ADDRESS": "127.0.0.1:0",
        "RERANK_GATEWAY__TELEMETRY__METRICS_ADDRESS": "127.0.0.1:0",
    }
    async with serving(environ=environ) as server:
        environ["RERANK_GATEWAY__SERVER__ADDRESS"] = server.address
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            _, *arguments = gateway(objects)[name]["exec"]["command"]
            probed = await command(*arguments, environ=environ)
            assert (probed.code, probed.out) == (0, "SERVING\n"), probed.err
        assert await _helm_test(objects, server.address, tmp_path) == "SERVING\n"


async def _helm_test(objects: Mapping[str, Object], address: str, folder: Path) -> str:
    """Ask as the pod of `helm test` does; nobody resolves the service's name here."""
    (container,) = objects["PodHealth"]["spec"]["containers"]
    files = tls_files(objects, "PodHealth")
    assert not [name for name in files if name.startswith("server")]
    arguments = list(container["args"])
    (asked,) = (each for each in arguments if each.startswith("--address="))
    host = asked.removeprefix("--address=grpcs://").rpartition(":")[0]
    arguments[arguments.index(asked)] = f"--address=grpcs://{address}"
    for name, file in files.items():
        place = folder / "test" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    said = [each.replace("/run/tls/", f"{folder}/test/") for each in arguments]
    tested = await command(*said, "--server-name", host)
    assert tested.code == 0, tested.err
    return tested.out


def test_services_say_what_is_spoken() -> None:
    def spoken(objects: Mapping[str, Object]) -> set[str]:
        return {
            each["appProtocol"]
            for kind in ("Service", "ServiceHeadless")
            for each in objects[kind]["spec"]["ports"]
            if each["name"] != "metrics"
        }

    assert spoken(minimal()) == {"kubernetes.io/h2c"}
    assert spoken(of("tls")) == {"https"}


def test_it_scales_by_calls_in_flight_as_prometheus_names_them() -> None:
    metrics = of("production")["HorizontalPodAutoscaler"]["spec"]["metrics"]
    (pods,) = (each["pods"] for each in metrics if each["type"] == "Pods")
    assert pods["metric"]["name"] == SERVER_IN_FLIGHT.family
    assert pods["target"] == {"type": "AverageValue", "averageValue": "100"}
    (cpu,) = (each["resource"] for each in metrics if each["type"] == "Resource")
    assert cpu["target"]["averageUtilization"] == 70


def test_what_scales_has_no_number_of_its_own() -> None:
    assert "replicas" not in of("production")["Deployment"]["spec"]
    assert minimal()["Deployment"]["spec"]["replicas"] == 2


def test_nobody_goes_before_another_one_serves() -> None:
    strategy = minimal()["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}
    assert minimal()["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_collections_in_a_folder_have_one_pod_and_its_volume(tmp_path: Path) -> None:
    objects = of("collections")
    assert "Deployment" not in objects
    assert "PodDisruptionBudget" not in objects
    spec = objects["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    assert spec["serviceName"] == objects["ServiceHeadless"]["metadata"]["name"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    mounts = {
        each["name"]: each["mountPath"] for each in gateway(objects)["volumeMounts"]
    }
    path = settings(objects, tmp_path).retrieval.path
    assert path.startswith(mounts[claim["metadata"]["name"]])


def test_without_persistence_collections_are_the_pod_s() -> None:
    objects = made(
        *("-f", str(CHART / "ci/collections-values.yaml")),
        *("--set", "collections.persistence.enabled=false"),
    )
    assert "volumeClaimTemplates" not in objects["StatefulSet"]["spec"]
    assert "data" in {each["name"] for each in pod(objects)["volumes"]}


def test_callers_that_balance_find_every_pod() -> None:
    objects = minimal()
    assert objects["ServiceHeadless"]["spec"]["clusterIP"] == "None"
    (port,) = objects["Service"]["spec"]["ports"]
    assert port["targetPort"] == "grpc"


# What watches it


def test_prometheus_scrapes_each_pod_once_under_the_job_that_alerts_know() -> None:
    objects = of("production")
    monitor = objects["ServiceMonitor"]["spec"]
    found = {
        kind: monitor["selector"]["matchLabels"].items()
        <= objects[kind]["metadata"]["labels"].items()
        for kind in ("Service", "ServiceHeadless")
    }
    assert found == {"Service": False, "ServiceHeadless": True}
    service = objects["ServiceHeadless"]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "rerank-gateway"
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {each["name"] for each in service["spec"]["ports"]}


def test_its_job_stays_whatever_it_is_called() -> None:
    headless = of("everything")["ServiceHeadless"]
    assert headless["metadata"]["labels"]["app.kubernetes.io/name"] == "rerank-gateway"


def test_its_rules_are_those_of_the_stack_and_link_to_the_runbook() -> None:
    url = "https://wiki.example/gateway"
    expected = [
        group
        for path in sorted((OBSERVABILITY / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    for group in expected:
        for rule in group["rules"]:
            if "alert" in rule:
                link = f"{url}#{rule['alert'].lower()}"
                rule["annotations"]["runbook_url"] = link
    rules = of("everything")["PrometheusRule"]
    assert rules["spec"]["groups"] == expected


def test_its_dashboards_are_those_of_the_stack() -> None:
    dashboards = of("everything")["ConfigMapDashboards"]["data"]
    folder = OBSERVABILITY / "grafana" / "dashboards"
    assert dashboards == {path.name: path.read_text() for path in folder.glob("*")}


# What it refuses


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ("image.repository=", "image.repository"),
        ("replica=3", "replica"),
        ("server.workers=0", "workers"),
        ("server.graceSeconds=-1", "graceSeconds"),
        ("image.digest=latest", "digest"),
        ("metrics.port=50051", "port"),
        ("collections.engine=qdrant", "engine"),
        ("collections.persistence.accessModes={ReadWriteMany}", "accessModes"),
        ("env.RERANK_GATEWAY__SERVER__ADDRESS=x", "SERVER__ADDRESS"),
        ("secrets.env.RERANK_GATEWAY_CONFIG.secret=x", "GATEWAY_CONFIG"),
        ("secrets.env.KEY=value", "KEY"),
        ("tls.clientCa.secret=x", "tls.secret"),
        ("tls.secret=x,tls.clientCa.secret=y", "tls.probeSecret"),
        ("config=[tls]", "by the values of tls"),
        ("env.RERANK_GATEWAY__TLS__KEY=x", "TLS__KEY"),
        ("autoscaling.enabled=true,autoscaling.cpuPercent=0", "by what"),
        ("autoscaling.enabled=true,autoscaling.maxReplicas=1", "maxReplicas"),
        ("autoscaling.enabled=true,collections.engine=embedded", "single pod"),
    ],
)
def test_it_refuses(said: str, because: str) -> None:
    done = helm("-f", str(CHART / "ci/minimal-values.yaml"), "--set", said)
    assert done.returncode
    assert because in done.stderr


def test_every_value_has_its_place_in_the_schema() -> None:
    def compare(values: Object, schema: Object, path: str) -> None:
        known = schema.get("properties")
        if known is None:
            return
        assert set(values) == set(known) - {"global"}, path
        for name, value in values.items():
            if isinstance(value, dict):
                compare(value, known[name], f"{path}.{name}")

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    compare(values, schema, "")


def test_what_its_readme_brings_to_the_cluster_is_what_it_scales_by() -> None:
    (rules,) = (
        yaml.safe_load(block.partition("```")[0])["rules"]["custom"]
        for block in (CHART / "README.md").read_text().split("```yaml\n")[1:]
    )
    (rule,) = rules
    assert rule["seriesQuery"].partition("{")[0] == SERVER_IN_FLIGHT.family


def test_it_is_packed_with_rules_and_dashboards(tmp_path: Path) -> None:
    subprocess.run(  # noqa: S603 - a pinned tool
        [tool("helm"), "package", str(CHART), "--destination", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        names = {each.partition("/")[2] for each in packed.getnames()}
    assert {"rules/alerts.yml", "dashboards/gateway.json"} <= names
    assert not [each for each in names if each.startswith(("ci/", "rules/tests/"))]
