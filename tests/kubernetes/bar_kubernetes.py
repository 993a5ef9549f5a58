"""The manifests on a real API server: applied, changed, upgraded, rolled back, drained, and adopted by others.

The tests are in the order of an operator's work, and share the cluster. No container runs.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import NAMESPACE, Cluster
from tests.kubernetes.overlay import COMPONENTS, Overlay, namespace, pods_of, secret
from tests.support.waiting import until

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def running(cluster: Cluster, overlay: Overlay) -> Overlay:
    """The manifests, applied as deploy/README.md says, with three sfu nodes; every pod is ready."""
    cluster.run("apply", "--filename", "-", given=namespace(NAMESPACE, "privileged"))
    cluster.run("apply", "--namespace", NAMESPACE, "--filename", "-", given=secret())
    overlay.apply(cluster)
    for workload in ("deployment/control", "statefulset/sfu", "statefulset/postgres", "statefulset/kafka"):
        cluster.until_rolled_out(workload)
    return overlay


@pytest.mark.parametrize("entry", ["ingress", "gateway-api"])
@pytest.mark.parametrize("components", [(), COMPONENTS], ids=["plain", "with all components"])
def test_the_server_takes_every_variant_without_a_warning(
    running: Overlay, cluster: Cluster, entry: str, components: tuple[str, ...]
) -> None:
    with running.variant(*components, entry=entry):
        assert running.apply(cluster, "--dry-run=server")


def test_what_was_applied_does_not_differ(running: Overlay, cluster: Cluster) -> None:
    done = cluster.attempt("diff", "--kustomize", str(running.write()))
    assert (done.returncode, done.stdout) == (0, "")


def test_a_tool_that_applies_on_the_server_adopts_it(running: Overlay, cluster: Cluster) -> None:
    """As Flux and Argo CD do. Only claim templates, which the server completes, need their `--force-conflicts`."""
    options = ("--server-side", "--field-manager=gitops", "--dry-run=server")
    done = cluster.attempt("apply", "--kustomize", str(running.write()), *options)
    conflicts = re.findall(r"conflicts? with .*", done.stderr)
    assert [one for one in conflicts if not one.endswith(".spec.volumeClaimTemplates")] == [], done.stderr


def test_each_sfu_has_a_machine_of_its_own_and_not_the_one_with_the_gpu(running: Overlay, cluster: Cluster) -> None:
    machines = [pod["spec"]["nodeName"] for pod in cluster.pods("sfu")]
    assert sorted(machines) == ["node-1", "node-2", "node-3"]
    assert all(pod["status"]["hostIP"] == pod["status"]["podIP"] for pod in cluster.pods("sfu"))


def test_a_pod_gets_no_token_of_the_cluster(running: Overlay, cluster: Cluster) -> None:
    for pod in cluster.items("pods"):
        volumes = pod["spec"]["volumes"]
        assert not [one for one in volumes if "serviceAccountToken" in json.dumps(one)], pod["metadata"]["name"]


def test_a_setting_of_control_restarts_control_alone(running: Overlay, cluster: Cluster) -> None:
    sfus, controls = names(cluster.pods("sfu"), by="uid"), names(cluster.pods("control"))
    running.settings = {"control": {"PARLEY_ORIGINS": "https://meet.example.com"}}
    changed = running.apply(cluster)
    assert any("deployment.apps/control configured" in line for line in changed)
    cluster.until_rolled_out("deployment/control")
    assert not names(cluster.pods("control")) & controls
    assert names(cluster.pods("sfu"), by="uid") == sfus


def test_an_upgrade_keeps_two_controls_and_all_but_one_sfu(running: Overlay, cluster: Cluster) -> None:
    running.release = "0.3.0"
    running.apply(cluster)
    ready: dict[str, list[int]] = {"control": [], "sfu": []}
    deadline = time.monotonic() + 240
    while not (is_upgraded(cluster, "control", 2, "0.3.0") and is_upgraded(cluster, "sfu", 3, "0.3.0")):
        assert time.monotonic() < deadline, ready
        for app, counts in ready.items():
            counts.append(sum(is_ready(pod) for pod in cluster.pods(app)))
        time.sleep(0.3)
    assert min(ready["control"]) >= 2
    assert min(ready["sfu"]) == 2
    images = {
        container["image"]
        for pod in cluster.pods("control") + cluster.pods("sfu")
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
    }
    assert images == {"parley:0.3.0"}  # of the sidecars and the migration, too


def test_a_rollback_is_one_command(running: Overlay, cluster: Cluster) -> None:
    for workload, app, count in (("deployment/control", "control", 2), ("statefulset/sfu", "sfu", 3)):
        cluster.run("--namespace", NAMESPACE, "rollout", "undo", workload)
        until(lambda app=app, count=count: is_upgraded(cluster, app, count, "0.2.0"), 240)  # type: ignore[misc]
    running.release = "0.2.0"
    running.apply(cluster)


def test_a_second_machine_is_not_drained_while_an_sfu_stops(running: Overlay, cluster: Cluster) -> None:
    first, second = (pod["spec"]["nodeName"] for pod in cluster.pods("sfu")[:2])
    drain = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5s")
    try:
        cluster.attempt("drain", first, *drain)
        refused = cluster.attempt("drain", second, *drain)
        assert "disruption budget" in refused.stderr
        assert len(cluster.pods("sfu")) >= 2
    finally:
        cluster.run("uncordon", first, second)
    cluster.until_rolled_out("statefulset/sfu")
    cluster.until_rolled_out("deployment/control")


def test_an_sfu_that_stops_keeps_its_media_service(running: Overlay, cluster: Cluster) -> None:
    """A load balancer would take it out long before its meetings have ended."""
    with running.variant("udp-load-balancer"):
        running.apply(cluster)
        until(lambda: all(not pod["spec"].get("hostNetwork") for pod in cluster.pods("sfu")), 240)
        cluster.until_rolled_out("statefulset/sfu")
        (service,) = (one for one in cluster.items("services") if one["metadata"]["name"] == "sfu-0-media")
        assert {(one["port"], one["protocol"]) for one in service["spec"]["ports"]} == {
            (8810, "UDP"),
            (8810, "TCP"),
            (8820, "UDP"),
        }
        cluster.run("--namespace", NAMESPACE, "delete", "pod", "sfu-0", "--wait=false")
        until(lambda: conditions(cluster, "sfu-0-media", terminating=True), why="it has stopped already")
        for name in ("sfu", "sfu-0-media"):
            assert all(one["ready"] for one in conditions(cluster, name, terminating=True)), name
    cluster.until_rolled_out("statefulset/sfu")


def test_an_autoscaler_is_not_undone_by_the_next_apply(running: Overlay, cluster: Cluster) -> None:
    with running.variant("udp-load-balancer", "autoscaling"):
        running.apply(cluster)
        cluster.run("--namespace", NAMESPACE, "scale", "deployment/control", "--replicas=5")
        running.apply(cluster)
        assert cluster.get("deployment", "control")["spec"]["replicas"] == 5
        cluster.run("--namespace", NAMESPACE, "scale", "deployment/control", "--replicas=2")


def test_the_next_triton_gets_the_only_gpu(running: Overlay, cluster: Cluster) -> None:
    with running.variant("udp-load-balancer", "gpu"):
        running.apply(cluster)
        cluster.until_rolled_out("deployment/triton")
        assert [pod["spec"]["nodeName"] for pod in cluster.pods("triton")] == ["gpu-1"]
        cluster.run("--namespace", NAMESPACE, "set", "image", "deployment/triton", "triton=parley-triton:25.12")
        cluster.until_rolled_out("deployment/triton")


@pytest.mark.parametrize(
    ("level", "components", "refused"),
    [
        ("restricted", ("udp-load-balancer", "gpu", "live-in", "mongodb"), set()),
        ("baseline", (), {"sfu-pod"}),  # for its machine's network
        ("privileged", (), set()),
    ],
)
def test_pod_security_refuses_only_the_machines_network(
    running: Overlay, cluster: Cluster, level: str, components: tuple[str, ...], refused: set[str]
) -> None:
    where = f"level-{level}"
    cluster.run("apply", "--filename", "-", given=namespace(where, level))
    with running.variant(*components):
        made = cluster.run("kustomize", str(running.write(where)))
    errors = {}
    for pod in pods_of(made):
        done = cluster.attempt(
            "apply", "--namespace", where, "--dry-run=server", "--filename", "-", given=json.dumps(pod)
        )
        if done.returncode:
            errors[pod["metadata"]["name"]] = done.stderr
    assert set(errors) == refused, errors
    assert all("hostNetwork" in error for error in errors.values())


def test_a_scanner_finds_only_what_is_explained(running: Overlay, cluster: Cluster, tmp_path: Path) -> None:
    """The explanations are in deploy/checkov.yaml."""
    with running.variant(*COMPONENTS):
        (tmp_path / "all.yaml").write_text(cluster.run("kustomize", str(running.write())))
    for framework, file in (("kubernetes", tmp_path / "all.yaml"), ("dockerfile", DEPLOY / "docker" / "Dockerfile")):
        options = ["--config-file", str(DEPLOY / "checkov.yaml"), "--framework", framework, "--file", str(file)]
        checkov = [str(cluster.programs.parent / "scanner" / "bin" / "checkov"), *options]
        done = subprocess.run(checkov, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        passed = re.search(r"Passed checks: (\d+), Failed checks: 0", done.stdout)
        assert passed is not None and int(passed[1]) > 100


def test_a_linter_finds_only_what_is_explained(cluster: Cluster) -> None:
    """The explanations are in deploy/hadolint.yaml."""
    files = [str(DEPLOY / "docker" / name) for name in ("Dockerfile", "triton.Dockerfile")]
    hadolint = [str(cluster.programs.parent / "scanner" / "bin" / "hadolint")]
    explained = subprocess.run(
        [*hadolint, "--config", str(DEPLOY / "hadolint.yaml"), *files], capture_output=True, text=True, check=False
    )
    assert (explained.returncode, explained.stdout) == (0, "")
    assert subprocess.run([*hadolint, *files], capture_output=True, check=False).returncode == 1


def names(pods: Iterable[dict[str, Any]], *, by: str = "name") -> set[str]:
    return {pod["metadata"][by] for pod in pods}


def is_ready(pod: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def is_upgraded(cluster: Cluster, app: str, count: int, release: str) -> bool:
    """Return whether all pods of an application are ready and of this release."""
    pods = cluster.pods(app)
    of_release = [pod for pod in pods if pod["spec"]["containers"][0]["image"] == f"parley:{release}"]
    return len(of_release) == len(pods) == count and all(map(is_ready, pods))


def conditions(cluster: Cluster, service: str, *, terminating: bool) -> list[dict[str, bool]]:
    """Return the conditions of the endpoints of a service."""
    slices = cluster.items("endpointslices", "-l", f"kubernetes.io/service-name={service}")
    endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
    return [one["conditions"] for one in endpoints if one["conditions"]["terminating"] == terminating]
