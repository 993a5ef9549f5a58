"""A Kubernetes cluster on loopback: the real API server, controllers and scheduler, and machines that kwok makes up.

Pods are scheduled, become ready and stop, but no container runs.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parley.network import allocate_port
from tests.support.waiting import until, until_up

NAMESPACE = "parley"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; `programs` is where its programs are, `state` is for its files."""

    programs: Path
    state: Path

    def run(self, *arguments: str, given: str | None = None, seconds: float = 120) -> str:
        """Run kubectl and return its output; raises AssertionError with its errors."""
        done = self.attempt(*arguments, given=given, seconds=seconds)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def attempt(
        self, *arguments: str, given: str | None = None, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; return its output, errors and status."""
        environment = os.environ | {"KUBECONFIG": str(self.state / "kubeconfig"), "HOME": str(self.state)}
        command = [str(self.programs / "kubectl"), *arguments]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=seconds, env=environment
        )

    def get(self, *arguments: str, namespace: str = NAMESPACE) -> Any:
        """Return what `kubectl get` says as JSON."""
        return json.loads(self.run("get", "--namespace", namespace, "--output", "json", *arguments))

    def items(self, *arguments: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """Return a list of objects."""
        found: list[dict[str, Any]] = self.get(*arguments, namespace=namespace)["items"]
        return found

    def pods(self, app: str) -> list[dict[str, Any]]:
        """Return the pods of an application that are not stopping."""
        return [pod for pod in self.items("pods", "-l", f"app={app}") if "deletionTimestamp" not in pod["metadata"]]

    def until_rolled_out(self, workload: str, seconds: float = 240) -> None:
        """Wait until a Deployment or StatefulSet runs as it is described."""
        wait = f"--timeout={seconds:.0f}s"
        self.run("--namespace", NAMESPACE, "rollout", "status", workload, wait, seconds=seconds + 10)


@contextlib.contextmanager
def running_cluster(home: Path, state: Path) -> Iterator[Cluster]:
    """Run a cluster with the programs that install.sh has put into `home`; `state` is an empty folder."""
    programs = home / "bin"
    cluster = Cluster(programs, state)
    port, etcd = allocate_port(_LOOPBACK), f"http://{_LOOPBACK}:{allocate_port(_LOOPBACK)}"
    peer = f"http://{_LOOPBACK}:{allocate_port(_LOOPBACK)}"
    _write_access(state, port)
    with contextlib.ExitStack() as running:

        def start(name: str, *options: str) -> subprocess.Popen[bytes]:
            return running.enter_context(_process([str(programs / name), *options], state / f"{name}.log"))

        start(
            "etcd", "--data-dir", str(state / "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        )  # fmt: skip
        server = start(
            "kube-apiserver", "--etcd-servers", etcd, "--bind-address", _LOOPBACK, "--secure-port", str(port),
            # It refuses to announce a loopback address.
            "--endpoint-reconciler-type", "none", "--cert-dir", str(state / "certificates"),
            "--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-signing-key-file", str(state / "accounts.pem"),
            "--service-account-key-file", str(state / "accounts.pem"), "--token-auth-file", str(state / "tokens.csv"),
        )  # fmt: skip

        def is_ready() -> bool:
            return cluster.attempt("get", "--raw", "/readyz").returncode == 0

        until_up(server, is_ready, state / "kube-apiserver.log", 120)
        access = ("--kubeconfig", str(state / "kubeconfig"))
        start(
            "kube-controller-manager", *access, "--bind-address", _LOOPBACK, "--secure-port", "0",
            "--service-account-private-key-file", str(state / "accounts.pem"), "--leader-elect=false",
            "--controllers", "*,-nodeipam",
        )  # fmt: skip
        start("kube-scheduler", *access, "--bind-address", _LOOPBACK, "--secure-port", "0", "--leader-elect=false")
        start(
            "kwok", *access, "--config", str(home / "stages.yaml"), "--cidr", "10.244.0.0/16",
            "--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake",
            "--server-address", f"{_LOOPBACK}:0", "--node-lease-duration-seconds", "40",
        )  # fmt: skip
        yield cluster


def _write_access(state: Path, port: int) -> None:
    token = secrets.token_hex(16)
    (state / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (state / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "here",
                        "cluster": {"server": f"https://{_LOOPBACK}:{port}", "insecure-skip-tls-verify": True},
                    }
                ],
                "users": [{"name": "admin", "user": {"token": token}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
                "current-context": "here",
            }
        )
    )
    subprocess.run(["openssl", "genrsa", "-out", state / "accounts.pem", "2048"], check=True, capture_output=True)


@contextlib.contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the context ends; those started last end first, since an API server without etcd hangs."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def add_machines(cluster: Cluster) -> None:
    """Add three ordinary machines in two zones, and one with a GPU that only takes what asks for it."""
    machines = [("node-1", "eu-a", 1), ("node-2", "eu-b", 2), ("node-3", "eu-b", 3), ("gpu-1", "eu-a", 4)]
    cluster.run("apply", "--filename", "-", given=_documents(_machine(*machine) for machine in machines))
    until(lambda: all(_is_ready(node) for node in cluster.items("nodes")), why="machines are not ready")


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _machine(name: str, zone: str, number: int) -> dict[str, Any]:
    gpu = {"nvidia.com/gpu": "1"} if name.startswith("gpu") else {}
    resources = {"cpu": "8", "memory": "32Gi", "pods": "50"} | gpu
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/region": "eu", "kubernetes.io/os": "linux"}
    taints = [{"key": "nvidia.com/gpu", "effect": "NoSchedule", "value": "present"}] if gpu else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": labels | {"topology.kubernetes.io/zone": zone},
        },
        "spec": {"taints": taints},
        "status": {
            "allocatable": resources,
            "capacity": resources,
            "addresses": [
                {"type": "InternalIP", "address": f"192.168.0.{number}"},
                {"type": "ExternalIP", "address": f"198.51.100.{number}"},
                {"type": "Hostname", "address": name},
            ],
        },
    }


def add_volumes(cluster: Cluster, count: int = 20) -> None:
    """Add volumes for all claims, since nothing provisions any."""
    cluster.run("apply", "--filename", "-", given=_documents(_volume(number) for number in range(count)))


def _volume(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{number}"},
        "spec": {
            "capacity": {"storage": "300Gi"},
            "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
        },
    }


def _documents(objects: Iterator[dict[str, Any]]) -> str:
    return "\n---\n".join(json.dumps(one) for one in objects)
