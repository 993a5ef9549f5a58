"""A cluster with machines and volumes, and an operator's copy of the manifests; all of it ends with the session."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.cluster import Cluster, add_machines, add_volumes, running_cluster
from tests.kubernetes.overlay import Overlay

ROOT = Path(__file__).parents[2]
HOME = Path(os.environ.get("PARLEY_KUBERNETES_HOME") or ROOT / "build" / "kubernetes")
"""The folder for built programs, which are kept between runs."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # fixtures clean up after it
    subprocess.run(["sh", Path(__file__).parent / "install.sh", HOME], check=True, stdout=sys.stderr)
    with running_cluster(HOME, tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.run("apply", "--server-side", "--filename", str(HOME / "custom"))
        add_machines(cluster)
        add_volumes(cluster)
        yield cluster


@pytest.fixture(scope="session")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    """An operator's overlay beside a copy of the manifests."""
    return Overlay(tmp_path_factory.mktemp("operator"), ROOT / "deploy" / "kubernetes")
