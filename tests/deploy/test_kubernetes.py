"""Kubernetes, read as files: objects against the schemas of two releases, confinement, names that must meet.

The values of Dagster's chart are held to the keys that its schema has; no chart is rendered and no cluster asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from orchestration.local.cli import build_parser
from orchestration.local.dagster_home import CODE_LOCATION, dagster_yaml
from orchestration.settings import load_settings
from tests.architecture.tree import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OBJECTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "ballast.yaml").read_text(encoding="utf-8"))["items"]
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "dagster-values.yaml").read_text(encoding="utf-8"))
NAMES = [f"{found['kind']} {found['metadata']['name']}" for found in OBJECTS]
RELEASES = ("1.32", "1.35")
CHART_KEYS = {
    "global", "dagsterWebserver", "dagster-user-deployments", "postgresql", "generatePostgresqlPasswordSecret",
    "generateCeleryConfigSecret", "rabbitmq", "redis", "flower", "ingress", "imagePullSecrets", "computeLogManager",
    "scheduler", "runLauncher", "pythonLogs", "dagsterDaemon", "busybox", "migrate", "telemetry", "serviceAccount",
    "retention", "concurrency", "additionalInstanceConfig",
}  # fmt: skip
LAUNCHER_KEYS = {
    "image", "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile", "envConfigMaps", "envSecrets",
    "envVars", "volumeMounts", "volumes", "labels", "failPodOnRunFailure", "resources", "schedulerName",
    "securityContext", "runK8sConfig",
}  # fmt: skip
DEPLOYMENT_KEYS = {
    "name", "image", "port", "dagsterApiGrpcArgs", "codeServerArgs", "includeConfigInLaunchedRuns", "env",
    "envConfigMaps", "envSecrets", "annotations", "nodeSelector", "affinity", "tolerations", "podSecurityContext",
    "securityContext", "resources", "livenessProbe", "readinessProbe", "startupProbe", "labels", "volumeMounts",
    "volumes", "schedulerName",
}  # fmt: skip


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = (o for o in OBJECTS if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return found


def pods(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Specifications of the pods that an object makes."""
    spec = found.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    if template:
        yield template["spec"]


PODS = {name: pod for name, found in zip(NAMES, OBJECTS, strict=True) for pod in pods(found)}
CODE = VALUES["dagster-user-deployments"]["deployments"][0]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_valid(name: str, release: str) -> None:
    kubernetes_validate.validate(OBJECTS[NAMES.index(name)], release, strict=True)


def test_the_check_itself_refuses_a_slip() -> None:
    wrong = {**one("Service", "ballast-api"), "spec": {"selektor": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[0], strict=True)


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_is_confined(name: str) -> None:
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"requests", "limits"} <= container["resources"].keys()
        assert {mount["name"] for mount in container["volumeMounts"]} <= {v["name"] for v in pod["volumes"]}
        assert not container.get("env"), "secrets are files, settings are of the one map"


@pytest.mark.parametrize("name", sorted(PODS))
def test_what_a_pod_starts_is_a_command(name: str) -> None:
    for container in PODS[name]["containers"]:
        program, *words = container["command"]
        assert program == "ballast"
        build_parser().parse_args(words)


def test_what_serves_is_probed() -> None:
    for name in ("ballast-api", "ballast-mlflow"):
        (container,) = one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def test_settings_are_settings(tmp_path: Path) -> None:
    data = one("ConfigMap", "ballast-settings")["data"]
    assert not [key for key in data if re.search("PASSWORD|TOKEN|SECRET|SEED", key)]
    folder, _, file = data["DATABASE_URL_FILE"].rpartition("/")
    for pod in (*PODS.values(), CODE):
        assert {(m["name"], m["mountPath"]) for m in mounts(pod)} >= {
            ("database-url", folder), ("state", data["BALLAST_STATE"]),
        }  # fmt: skip
        (volume,) = (v for v in pod["volumes"] if v["name"] == "database-url")
        assert volume["secret"]["items"] == [{"key": "database-url", "path": file}]
        assert volume["secret"]["secretName"] == VALUES["global"]["postgresqlSecretName"]
    (tmp_path / file).write_text("postgresql://ballast:p@host/ballast", encoding="utf-8")
    settings = load_settings({**data, "DATABASE_URL_FILE": str(tmp_path / file)})
    assert VALUES["postgresql"]["postgresqlDatabase"] == f"dagster_{settings.market.slug}"


def mounts(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return pod["volumeMounts"] if "volumeMounts" in pod else pod["containers"][0]["volumeMounts"]


def test_services_and_policies_select_pods_that_exist() -> None:
    labels = [o["spec"]["template"]["metadata"]["labels"] for o in OBJECTS if o["kind"] in ("Deployment", "Job")]
    selectors = [one("Service", "ballast-api")["spec"]["selector"]]
    selectors += [
        o["spec"][key]["matchLabels"]
        for o in OBJECTS
        for key in ("selector", "podSelector")
        if o["kind"] in ("Deployment", "NetworkPolicy", "PodDisruptionBudget")
        and o["spec"].get(key, {}).get("matchLabels")
    ]
    assert len(selectors) >= 6
    for selector in selectors:
        assert any(selector.items() <= found.items() for found in labels), selector


def test_everything_is_closed_unless_opened() -> None:
    closed = one("NetworkPolicy", "ballast-closed")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    kinds = {o["kind"] for o in OBJECTS}
    assert not kinds & {"Ingress", "Secret"}, "addresses and secrets are the cluster's own"
    assert [o["metadata"]["name"] for o in OBJECTS if o["kind"] == "Service"] == ["ballast-api"]


def test_values_have_keys_of_the_chart() -> None:
    assert VALUES.keys() <= CHART_KEYS
    assert CODE.keys() <= DEPLOYMENT_KEYS
    launcher = VALUES["runLauncher"]
    assert launcher["type"] == "K8sRunLauncher"
    assert launcher["config"].keys() == {"k8sRunLauncher"}
    assert launcher["config"]["k8sRunLauncher"].keys() <= LAUNCHER_KEYS
    assert VALUES["generatePostgresqlPasswordSecret"] is VALUES["postgresql"]["enabled"] is False
    assert "postgresqlPassword" not in VALUES["postgresql"]


def test_values_say_what_one_machine_is_told() -> None:
    own = dagster_yaml(load_settings({}))
    concurrency = VALUES["concurrency"]
    assert concurrency["runs"]["maxConcurrentRuns"] == own["concurrency"]["runs"]["max_concurrent_runs"]
    assert concurrency["pools"]["granularity"] == own["concurrency"]["pools"]["granularity"]
    assert VALUES["dagsterDaemon"]["runRetries"]["enabled"] is own["run_retries"]["enabled"] is False
    for kind in ("schedule", "sensor"):
        assert VALUES["retention"][kind]["purgeAfterDays"] == own["retention"][kind]["purge_after_days"]
    assert CODE["dagsterApiGrpcArgs"] == [
        "--module-name", "orchestration.definitions", "--location-name", CODE_LOCATION,
    ]  # fmt: skip


def test_chart_and_lock_have_one_version() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (locked,) = re.findall(r"^dagster==(\S+)", lock, flags=re.M)
    assert f"--version {locked} " in (FOLDER / "dagster-values.yaml").read_text(encoding="utf-8")
    assert re.search(r"^dagster-postgres==\d", lock, flags=re.M), "the image reads it"


def test_the_image_ends_as_an_ordinary_user() -> None:
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")][-1] == "USER 10001:10001"
    assert 'ENTRYPOINT ["ballast", "exec", "--"]' in lines, "the chart's arguments pass through it"
