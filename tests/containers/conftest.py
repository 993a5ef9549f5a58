"""A daemon, images and a running project for the container tests; all of it ends with the session."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley_client import Api
from tests.containers.calls import url
from tests.containers.daemon import DockerDaemon, docker_daemon
from tests.containers.images import ROOT, make_images
from tests.containers.project import Project, copy_of_deploy
from tests.support.call import become_admin
from tests.support.real_programs import FOLDER

IMAGE = "parley:0.2.0"
HOME = Path(os.environ.get("PARLEY_CONTAINERS_HOME") or ROOT / "build" / "containers")
"""The folder for images and built tools, which are kept between runs."""


@pytest.fixture(scope="session")
def daemon() -> Iterator[DockerDaemon]:
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # fixtures clean up after it
    plugins = HOME / "docker-config" / "cli-plugins"
    subprocess.run(["sh", Path(__file__).parent / "install.sh", plugins], check=True, stdout=sys.stderr)
    subprocess.run(["sh", ROOT / "tests" / "real" / "get.sh", FOLDER], check=True, stdout=sys.stderr)
    with docker_daemon(HOME) as running:
        make_images(running)
        yield running


@pytest.fixture(scope="session")
def image(daemon: DockerDaemon) -> str:
    """The product's image, built from the current repository."""
    file = ROOT / "deploy" / "docker" / "Dockerfile"
    daemon.run("build", "--file", str(file), "--tag", IMAGE, str(ROOT), seconds=1800)
    return IMAGE


@pytest.fixture(scope="session")
def project(daemon: DockerDaemon, image: str) -> Iterator[Project]:
    """The base variant, started and healthy."""
    project = Project(daemon, copy_of_deploy(HOME / "deploy"), settings={"PARLEY_PUBLIC_HOSTS": daemon.address})
    project.up()
    try:
        project.until_well()
        yield project
    finally:
        project.down()


@pytest.fixture(scope="session")
def administrator(project: Project) -> Project:
    """The running project, with its first administrator."""

    async def become() -> None:
        async with Api(url(project), verify_tls=False) as api:
            await become_admin(api, project.setup_token())

    asyncio.run(become())
    return project
