"""The configuration of an operator: an overlay on the manifests, and the objects that it is applied with."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.cluster import Cluster

COMPONENTS = ("autoscaling", "gpu", "live-in", "mongodb", "monitoring", "udp-load-balancer", "mutual-tls")


class Overlay:
    """An overlay as deploy/README.md describes it. `release` is the tag of the image."""

    def __init__(self, folder: Path, manifests: Path) -> None:
        self.manifests = folder / "kubernetes"
        self.folder = folder / "overlay"
        shutil.copytree(manifests, self.manifests)
        self.folder.mkdir()
        self.release = "0.2.0"
        self.entry, self.components = "ingress", tuple[str, ...]()
        self.settings: dict[str, dict[str, str]] = {}

    @contextlib.contextmanager
    def variant(self, *components: str, entry: str = "ingress") -> Iterator[None]:
        """Use these components and this entry within the block."""
        before = self.entry, self.components
        self.entry, self.components = entry, components
        try:
            yield
        finally:
            self.entry, self.components = before

    def write(self, namespace: str = "parley") -> Path:
        """Write the overlay and return its folder."""
        described = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "resources": [f"../kubernetes/{self.entry}", "../kubernetes/stores"],
            "components": [f"../kubernetes/{name}" for name in self.components],
            "replicas": [{"name": "sfu", "count": 3}],
            "images": [{"name": "parley", "newTag": self.release}],
            "configMapGenerator": [
                {"name": name, "behavior": "merge", "literals": [f"{key}={value}" for key, value in told.items()]}
                for name, told in self.settings.items()
            ],
        }
        (self.folder / "kustomization.yaml").write_text(yaml.safe_dump(described))
        return self.folder

    def apply(self, cluster: Cluster, *options: str) -> list[str]:
        """Apply the overlay; return the lines about what was created or changed. A warning is an error."""
        done = cluster.attempt("apply", "--kustomize", str(self.write()), *options)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr, done.stderr
        return [line for line in done.stdout.splitlines() if not line.endswith("unchanged")]


def namespace(name: str, level: str) -> str:
    """Return a namespace that enforces a level of Pod Security."""
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def secret(name: str = "parley") -> str:
    """Return the Secret that base/ and stores/ describe, with made-up values."""
    values = {
        "node_secret": "n", "database_password": "p", "database_url": "postgresql://parley:p@postgres/parley",
        "redis_url": "redis://valkey:6379/0", "s3_access_key": "a", "s3_secret_key": "s",
        "s3_identities": '{"identities": []}',
    }  # fmt: skip
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})


def pods_of(manifests: str) -> list[dict[str, Any]]:
    """Return a Pod for each workload: admission refuses pods, and only warns of what makes them."""
    pods = []
    for found in yaml.safe_load_all(manifests):
        described = found["spec"] if found and "spec" in found else {}
        if "template" not in described:
            continue
        template = described["template"]
        claims = [one["metadata"]["name"] for one in described.get("volumeClaimTemplates", ())]
        volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
        template["spec"]["volumes"] = template["spec"].get("volumes", []) + volumes
        template["spec"].pop("restartPolicy", None)
        metadata = {"name": f"{found['metadata']['name']}-pod", "labels": template["metadata"].get("labels", {})}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return pods
