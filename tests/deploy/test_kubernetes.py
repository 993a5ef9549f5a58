"""Manifests: valid by Kubernetes' own schemas, and consistent with each other."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from foundation.setting_groups import SETTINGS
from tests.kubernetes.overlay import COMPONENTS

SETTING = {setting.name: setting for setting in SETTINGS}
KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.33")  # the oldest with sidecars, and one of today's
PATCHES = {"inference-sidecar.yaml"}
NO_SCHEMA = {"gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1"}  # custom resources


def documents(*, patches: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """(file, manifest) of everything but kustomizations and Helm values."""
    found = []
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name in {"kustomization.yaml", "adapter-values.yaml"} or (path.name in PATCHES) != patches:
            continue
        name = str(path.relative_to(KUBERNETES))
        found += [(name, loaded) for loaded in yaml.safe_load_all(path.read_text())]
    return found


def merged_sfu() -> dict[str, Any]:
    """The sfu with its component for captions, as a strategic merge puts them together (lists of named things)."""
    (sfu,) = (found for _, found in documents() if (found["kind"], found["metadata"]["name"]) == ("StatefulSet", "sfu"))
    ((_, patch),) = documents(patches=True)
    for key, added in patch["spec"]["template"]["spec"].items():
        sfu["spec"]["template"]["spec"].setdefault(key, []).extend(added)
    return sfu


ALL = [*documents(), ("gpu/inference-sidecar.yaml, merged", merged_sfu())]
BY_SCHEMA = [(name, found) for name, found in ALL if found["apiVersion"] not in NO_SCHEMA]


def named(kind: str) -> set[str]:
    if kind == "ConfigMap":
        return set(settings())
    return {found["metadata"]["name"] for _, found in ALL if found["kind"] == kind}


def settings() -> dict[str, dict[str, str]]:
    """Return the settings of each ConfigMap that kustomize makes."""
    made = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["configMapGenerator"]
    return {one["name"]: dict(literal.split("=", 1) for literal in one["literals"]) for one in made}


def pods() -> list[tuple[str, dict[str, Any]]]:
    """(what, pod template) of everything that runs pods."""
    return [
        (f"{name}: {found['kind']} {found['metadata']['name']}", found["spec"]["template"])
        for name, found in ALL
        if "template" in found.get("spec", {})
    ]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_follow_the_schema(version: str) -> None:
    for name, found in BY_SCHEMA:
        try:
            kubernetes_validate.validate(found, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name}: {error.message} at {list(error.path)}")


def test_the_check_can_fail() -> None:
    sfu = merged_sfu()
    sfu["spec"]["template"]["spec"]["initContainers"][0]["restartPolicies"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="restartPolicies"):
        kubernetes_validate.validate(sfu, VERSIONS[0], strict=True)


def test_kustomizations_name_what_is_there() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        loaded = yaml.safe_load(path.read_text())
        for resource in loaded.get("resources", []):
            assert (path.parent / resource).exists(), f"{path}: {resource}"
        for patch in loaded.get("patches", []):
            assert patch["target"]["name"] in named(patch["target"]["kind"]), path
            assert "patch" in patch or (path.parent / patch["path"]).exists(), path
        listed = {Path(name).name for name in loaded.get("resources", [])}
        listed |= {patch["path"] for patch in loaded.get("patches", []) if "path" in patch}
        here = {each.name for each in path.parent.glob("*.yaml")} - {"kustomization.yaml", "adapter-values.yaml"}
        assert here <= listed, f"{path} leaves out {here - listed}"


def test_json_patches_fit() -> None:
    sfu = merged_sfu()
    loaded = yaml.safe_load((KUBERNETES / "udp-load-balancer" / "kustomization.yaml").read_text())
    for operation in yaml.safe_load(loaded["patches"][0]["patch"]):
        at: Any = sfu
        for step in operation["path"].strip("/").split("/")[:-1]:
            at = at[int(step) if isinstance(at, list) else step]
        last = operation["path"].rpartition("/")[2]
        assert last == "-" or last in at, operation


def test_pods_have_no_rights_and_keep_within_bounds() -> None:
    for what, template in pods():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, what
        assert spec["securityContext"]["runAsNonRoot"] is True, what
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, what
        for container in containers(template):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, (what, container["name"])
            assert context["capabilities"] == {"drop": ["ALL"]}, (what, container["name"])
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"], what
            if container["image"].startswith("parley:"):
                assert context["readOnlyRootFilesystem"] is True, (what, container["name"])


def test_what_pods_refer_to_is_there() -> None:
    claims = named("PersistentVolumeClaim")
    templates = (template for _, found in ALL for template in found.get("spec", {}).get("volumeClaimTemplates", []))
    made_per_pod = {template["metadata"]["name"] for template in templates}
    base = (KUBERNETES / "base" / "kustomization.yaml").read_text()
    stores = (KUBERNETES / "stores" / "kustomization.yaml").read_text()
    for what, template in pods():
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or claim["claimName"] in claims, (what, claim)
        for container in containers(template):
            for source in container.get("envFrom", []):
                assert "secretRef" in source or source["configMapRef"]["name"] in named("ConfigMap"), what
            for variable in container.get("env", []):
                secret = variable.get("valueFrom", {}).get("secretKeyRef")
                if secret:
                    assert secret["name"] == "parley" and secret["key"] in base + stores, (what, secret)
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in volumes.keys() | made_per_pod, (what, mount)


def test_services_find_pods_and_their_ports() -> None:
    for name, found in ALL:
        if found["kind"] != "Service":
            continue
        selector = {key: value for key, value in found["spec"]["selector"].items() if "kubernetes.io" not in key}
        chosen = [template for _, template in pods() if selector.items() <= template["metadata"]["labels"].items()]
        assert chosen, name
        ports = [port for template in chosen for each in containers(template) for port in each.get("ports", [])]
        known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
        for port in found["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in known, (name, port)


def test_ways_in_lead_to_control_alone() -> None:
    (ingress,) = (found for _, found in ALL if found["kind"] == "Ingress")
    assert "annotations" not in ingress["metadata"]
    assert "ingressClassName" not in ingress["spec"]
    backends = [
        path["backend"]["service"]["name"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]
    ]
    for _, found in ALL:
        if found["kind"] == "HTTPRoute":
            assert found["spec"]["parentRefs"][0]["name"] in named("Gateway")
            backends += [to["name"] for rule in found["spec"]["rules"] for to in rule.get("backendRefs", [])]
    assert backends and set(backends) == {"control"}


def test_settings_name_services_that_are_there() -> None:
    told = {variable: value for each in settings().values() for variable, value in each.items()}
    assert set(told) <= {setting.variable for setting in SETTINGS}
    for variable in ("PARLEY_ETCD_URLS", "PARLEY_KAFKA_BROKERS", "PARLEY_S3_ENDPOINT", "PARLEY_CONTROL_URL"):
        host = re.sub(r"^http://|:\d+$", "", told[variable])
        assert host in named("Service"), variable
    names = {
        variable["name"] for each in merged_sfu()["spec"]["template"]["spec"]["containers"] for variable in each["env"]
    }
    assert {"PARLEY_SFU_NODE", "PARLEY_SFU_HOST"} <= names  # under which it registers


def test_nobody_is_cut_off_by_an_upgrade() -> None:
    spec = merged_sfu()["spec"]["template"]["spec"]
    (sfu,) = spec["containers"]
    stopping = sfu["lifecycle"]["preStop"]["exec"]["command"][2]
    assert stopping.index("parley nodes drain") < stopping.index("drained ")
    waits = float(stopping.split()[-1])
    assert waits >= 3600
    # The hook returns within the grace period; the node is then stopped, and hands over its running rooms.
    drains = float(settings()["parley"].get("PARLEY_DRAIN_SECONDS", SETTING["drain_seconds"].default))
    assert 0 <= drains <= spec["terminationGracePeriodSeconds"] - waits - 30
    # Sidecars stop after the sfu and need no separate hook.
    assert {each["name"]: each["restartPolicy"] for each in spec["initContainers"]} == {
        "recorder": "Always",
        "inference": "Always",
    }
    assert {
        found["spec"]["selector"]["matchLabels"]["app"] for _, found in ALL if found["kind"] == "PodDisruptionBudget"
    } == {
        "control",
        "sfu",
    }


def test_autoscaling_asks_for_metrics_that_exist() -> None:
    (scaler,) = (found for _, found in ALL if found["kind"] == "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] in named(scaler["spec"]["scaleTargetRef"]["kind"])
    rules = yaml.safe_load((KUBERNETES / "autoscaling" / "adapter-values.yaml").read_text())["rules"]["custom"]
    served = {rule.get("name", {}).get("as") or re.match(r"\w+", rule["seriesQuery"])[0] for rule in rules}  # type: ignore[index]
    assert {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]} == served
    exporting = "\n".join(path.read_text() for path in (KUBERNETES.parents[1] / "control").rglob("*.py"))
    for rule in rules:
        series = re.match(r"\w+", rule["seriesQuery"])
        assert series is not None and f'"{series[0]}"' in exporting, rule


def test_every_container_of_an_sfu_pod_has_the_name_of_its_pod() -> None:
    """Recorders share a directory, and know their recordings by their names."""
    for container in containers(merged_sfu()["spec"]["template"]):
        (node,) = (one for one in container["env"] if one["name"] == "PARLEY_SFU_NODE")
        assert node["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_what_kustomize_makes_of_everything_fits_together(tmp_path: Path) -> None:
    """An operator's overlay with every component: the release and the settings reach each container."""
    (tmp_path / "kubernetes").symlink_to(KUBERNETES)
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    made = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../kubernetes/ingress", "../kubernetes/stores"],
        "components": [f"../kubernetes/{name}" for name in COMPONENTS],
        "images": [{"name": "parley", "newName": "registry.example/parley", "newTag": "9.9.9"}],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(made))
    done = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = list(yaml.safe_load_all(done.stdout))
    maps = {one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap"}
    assert {name.rpartition("-")[0] for name in maps} == {"parley", "control"}
    images = set()
    for one in found:
        if one["apiVersion"] not in NO_SCHEMA:
            kubernetes_validate.validate(one, VERSIONS[0], strict=True)
        for container in containers(one["spec"]["template"]) if "template" in one.get("spec", {}) else ():
            images.add(container["image"])
            refers = [
                source["configMapRef"]["name"] for source in container.get("envFrom", []) if "configMapRef" in source
            ]
            assert set(refers) <= maps, container["name"]
    assert "registry.example/parley:9.9.9" in images and not any(image.startswith("parley:") for image in images)
    control = next(one for one in found if (one["kind"], one["metadata"]["name"]) == ("Deployment", "control"))
    assert "replicas" not in control["spec"], "each apply would undo what the autoscaler did"
    assert control["spec"]["template"]["spec"]["containers"][0]["envFrom"][1]["configMapRef"]["name"] in maps
