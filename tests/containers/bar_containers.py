"""Every container, started: images, variants of Compose, a call, a recording, an upgrade, crashes, a reboot, a backup.

The tests are in the order of an operator's work, and share the running containers.
"""

import asyncio
import contextlib
import datetime
import functools
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from parley import certificate
from parley_client import Api
from tests.containers.browsing import watching_page
from tests.containers.calls import a_call, signed_in, url
from tests.containers.daemon import DockerDaemon
from tests.containers.images import ROOT, TRITON, base_of_product
from tests.containers.project import Project
from tests.inference.chromium_speaker import write_speech
from tests.inference.material import prompt
from tests.support.waiting import eventually, until

IMAGE_BYTES, SLIM_PYTHON_BYTES = 450e6, 125e6
PAGE_GAP, MEDIA_GAP = 3.0, 2.0
LINES_OF_A_QUIET_MINUTE = 2


async def recorded(api: Api) -> list[dict[str, Any]]:
    """Return the recordings that the account can access."""
    found: list[dict[str, Any]] = (await api.request("GET", "/recordings"))["recordings"]
    return found


def test_the_image_is_small(daemon: DockerDaemon, image: str) -> None:
    size = int(daemon.run("image", "inspect", "--format", "{{.Size}}", image))
    base = int(daemon.run("image", "inspect", "--format", "{{.Size}}", base_of_product()))
    # The stand-in for Python's image has Debian's headers and tools, which that has not.
    print(f"image {size / 1e6:.0f} MB, of which {base / 1e6:.0f} MB Debian and Python as they are here")
    assert size - base + SLIM_PYTHON_BYTES <= IMAGE_BYTES


def test_every_part_becomes_well(project: Project) -> None:
    states = project.states()
    print(json.dumps(states))
    assert {"control", "sfu", "recorder", "gateway", "postgres", "prometheus", "jaeger"} <= set(states)
    assert not project.unwell()


async def test_a_call_is_recorded_into_the_object_store(administrator: Project) -> None:
    async with a_call(administrator) as (api, meeting, callers):
        await api.start_recording(meeting)
        for caller in callers:
            await caller.agree()
        await asyncio.sleep(5)  # so that there is something to keep
        for caller in callers:
            assert await caller.moves()
        await api.stop_recording(meeting)

        async def is_ready() -> bool:
            return any(one["state"] == "ready" for one in (await api.recordings(meeting))["recordings"])

        await eventually(is_ready, 120, "the recording is not ready")
    kept = administrator.exec("seaweedfs", "sh", "-c", "du -s /data | cut -f 1")
    assert int(kept) > 100, "nothing in the object store"


EVERY_JOIN_TRACED = "services: { control: { environment: { PARLEY_TRACE_RATIO: '1' } } }\n"
ASK_INFERENCE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8085/health').read())"
WITHOUT_A_GPU = """
services:
  models:
    command: ["parley models fetch && parley models build --triton /var/lib/parley/models/triton --device cpu"]
  triton: { deploy: !reset null }
"""
DATA_OF_A_CALL = {
    "gateway (nginx)": '"path":"/api/v1/meetings/M/join","status":200',
    "PostgreSQL": r"\(2 rows\)",
    "Redis (Valkey)": r"\S+",
    "etcd": r'"participants":2',
    "Kafka": r"meeting\.user_joined",
    "S3 (SeaweedFS)": r"recording_\w+",
    "Prometheus": r'"value":\[[0-9.]+,"2"\]',
    "Alertmanager": "Watchdog",
    "Jaeger": r"sfu\.first_packet_in",
}


DATA_OF_CAPTIONS = {
    "Triton (`compose.gpu.yaml`)": r'nv_inference_request_success\{model="[^"]+",version="1"\} [1-9]',
    "MongoDB (`compose.mongodb.yaml`)": r"[1-9]",
}


def commands_of_topology() -> dict[str, str]:
    """Return the commands of the document on the topology by system."""
    text = (ROOT / "docs" / "pages" / "topology.md").read_text()
    rows = [line.split(" | ") for line in text.replace("\\|", "\0").splitlines() if line.startswith("| ")][1:]
    found = {row[0].removeprefix("| "): row[2].strip("`").replace("\0", "|") for row in rows}
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return found | {"Kafka": blocks[0].strip()}


def shows(project: Project, script: str, pattern: str) -> bool:
    """Return True if a script's output has the pattern."""
    path = project.directory / "topology.sh"
    path.write_text(script)
    settings = project.settings | {"COMPOSE_FILE": ":".join(project.files)}
    return re.search(pattern, project.daemon.script(path, settings=settings)) is not None


async def show(project: Project, meeting: str, expected: dict[str, str]) -> None:
    """Run the commands of the document until each has shown the call."""
    commands = commands_of_topology()
    for system, pattern in expected.items():
        script = f"cd {project.directory}\nM={meeting}\n{commands[system]} || true\n"
        shown = functools.partial(asyncio.to_thread, shows, project, script, pattern.replace("/M/", f"/{meeting}/"))
        await eventually(shown, 120, f"{system} does not show the call by: {commands[system]}")
        print(system, "shows the call")


@contextlib.asynccontextmanager
async def variant(project: Project, *files: str, **settings: str) -> AsyncIterator[None]:
    """Run other Compose files within the block, and the earlier ones after it."""
    before = project.files
    project.files = files
    try:
        await asyncio.to_thread(lambda: project.up(**settings))
        await asyncio.to_thread(project.until_well)
        yield
    finally:
        project.files = before
        await asyncio.to_thread(project.up)


async def test_every_system_has_data_of_a_call(administrator: Project) -> None:
    (administrator.directory / "compose.traced.yaml").write_text(EVERY_JOIN_TRACED)
    async with (
        variant(administrator, *administrator.files, "compose.traced.yaml"),
        a_call(administrator) as (_, meeting, callers),
    ):
        assert await callers[0].moves()
        await show(administrator, meeting, DATA_OF_A_CALL)


async def test_captions_by_triton_and_results_in_mongodb(administrator: Project) -> None:
    """The overlay for GPUs, with what needs one taken away: the device, and models for it."""
    (administrator.directory / "compose.without-a-gpu.yaml").write_text(WITHOUT_A_GPU)
    overlays = ("compose.gpu.yaml", "compose.without-a-gpu.yaml", "compose.mongodb.yaml")
    speech = administrator.directory.parent / "speech.wav"
    write_speech(speech, [prompt("demo-thanks")])
    async with variant(administrator, *administrator.files, *overlays, PARLEY_TRITON_IMAGE=TRITON):
        async with a_call(administrator, speech) as (api, meeting, _):
            file = await api.rest.upload_file(speech.read_bytes(), name="speech.wav", meeting=meeting)
            await api.request("POST", "/ai/asr", {"file": file["id"]})
            await show(administrator, meeting, DATA_OF_CAPTIONS)
        print(administrator.exec("inference", "python", "-c", ASK_INFERENCE))


async def test_a_setting_of_control_leaves_the_sfu_alone(administrator: Project) -> None:
    before = administrator.container("sfu")
    async with a_call(administrator) as (_, _, callers):
        await callers[0].watch_gaps()
        await asyncio.to_thread(administrator.up, PARLEY_REGISTRATION="open")
        await asyncio.to_thread(administrator.until_well)
        print(f"media gap {await callers[0].longest_gap():.1f} s")
        assert await callers[0].longest_gap() < MEDIA_GAP
    assert administrator.container("sfu") == before


async def test_an_upgrade_in_a_call(administrator: Project, image: str) -> None:
    """Upgrade and return: both are changes to another image."""
    daemon = administrator.daemon
    with contextlib.chdir(administrator.directory):
        text = f"FROM {image}\nLABEL release=next\n"
        next_image = "parley:next"
        (administrator.directory / "Dockerfile.next").write_text(text)
        daemon.run("build", "--tag", next_image, "--file", "Dockerfile.next", ".")
    for wanted in (next_image, image):
        async with a_call(administrator) as (_, _, callers), watching_page(url(administrator)) as page:
            for caller in callers:
                await caller.watch_gaps()
            administrator.settings["PARLEY_IMAGE"] = wanted
            await asyncio.to_thread(administrator.script, "upgrade.sh")
            await eventually(callers[0].moves, 60, "no media after the upgrade")
            gaps = [await caller.longest_gap() for caller in callers]
            print(f"to {wanted}: page {page.longest_gap:.1f} s, media {' and '.join(f'{gap:.1f} s' for gap in gaps)}")
            assert page.longest_gap <= PAGE_GAP
            assert max(gaps) <= MEDIA_GAP
        await asyncio.to_thread(administrator.until_well)
        ids = daemon.run("image", "inspect", "--format", "{{.Id}}", wanted).strip()
        for service in ("control", "sfu", "recorder"):
            used = daemon.run("inspect", "--format", "{{.Image}}", administrator.container(service)).strip()
            assert used == ids, service


CRASHED = (
    "alertmanager", "control", "etcd", "gateway", "jaeger", "kafka",
    "postgres", "prometheus", "recorder", "seaweedfs", "sfu", "valkey",
)  # fmt: skip


@pytest.mark.parametrize("service", CRASHED)
async def test_every_container_comes_back_by_itself(administrator: Project, service: str) -> None:
    """Kill and freeze services: media continues except when the sfu fails, and callers need no click."""
    async with a_call(administrator) as (_, _, callers):
        await asyncio.to_thread(administrator.kill, service)
        if service != "sfu":
            assert await callers[0].moves()
        await asyncio.to_thread(administrator.until_well)
        for caller in callers:
            await eventually(caller.moves, 60, f"no media after {service} was killed")

        def freeze() -> None:
            with administrator.frozen(service):
                subprocess.run(["sleep", "5"], check=True)

        await asyncio.to_thread(freeze)
        await asyncio.to_thread(administrator.until_well)
        for caller in callers:
            await eventually(caller.moves, 60, f"no media after {service} stood still")


def test_a_part_that_stands_still_is_started_again(administrator: Project) -> None:
    """Inside its container, where Docker itself does nothing."""
    before = administrator.started("recorder")
    administrator.exec("recorder", "sh", "-c", "kill -STOP $(cat /proc/1/task/1/children)")
    until(lambda: administrator.started("recorder") != before, 180, "it was left standing")
    administrator.until_well()


async def test_a_reboot_keeps_everything(administrator: Project) -> None:
    await asyncio.to_thread(administrator.down)
    await asyncio.to_thread(administrator.up)
    await asyncio.to_thread(administrator.until_well)
    async with signed_in(administrator) as api:
        assert await recorded(api)
    async with a_call(administrator) as (_, _, callers):
        assert await callers[0].moves()


async def test_a_backup_brings_everything_back_on_a_new_machine(administrator: Project) -> None:
    kept = administrator.directory.parent / "backup"
    await asyncio.to_thread(administrator.script, "backup.sh", str(kept))
    await asyncio.to_thread(administrator.down, "--volumes")
    for secret in (administrator.directory / "secrets").iterdir():
        secret.unlink()
    await asyncio.to_thread(administrator.script, "restore.sh", str(kept))
    await asyncio.to_thread(administrator.up)
    await asyncio.to_thread(administrator.until_well)
    async with signed_in(administrator) as api:
        (meeting, *_) = [one["meeting"] for one in await recorded(api)]
        ((recording, *_),) = [(await api.recordings(meeting))["recordings"]]
        assert recording["state"] == "ready"
    async with a_call(administrator) as (_, _, callers):
        assert await callers[0].moves()


async def test_every_overlay_at_once(administrator: Project) -> None:
    """A certificate that only root can read, captions on the CPU, AI results in MongoDB, TURN on a second address, and
    a live stream.
    """
    daemon, tls = administrator.daemon, administrator.directory.parent / "tls"
    daemon.add_address("10.231.9.2")  # in no link's network, where it might be the broadcast address

    def renew() -> str:
        made = certificate.ensure(tls / "made", [f"{time.monotonic_ns()}.example"], datetime.datetime.now(datetime.UTC))
        for name, file in (("fullchain.pem", made.certificate), ("privkey.pem", made.key)):
            (tls / name).write_bytes(file.read_bytes())
            (tls / name).chmod(0o600)
        return made.certificate.read_text().strip()

    def served() -> str:
        with contextlib.suppress(OSError):
            return ssl.get_server_certificate((daemon.address, 443), timeout=3).strip()
        return ""

    first = renew()
    administrator.files = (
        "compose.yaml",
        *(f"compose.{name}.yaml" for name in ("remote", "turn", "captions", "ingress", "mongodb")),
    )
    settings = {"PARLEY_TLS": str(tls), "PARLEY_TURN_TLS": str(tls), "PARLEY_TURN_ADDRESS": "10.231.9.2"}
    settings |= {"PARLEY_TURN_NAME": "turn.example", "PARLEY_HTTPS_ADDRESS": daemon.address}
    await asyncio.to_thread(lambda: administrator.up(**settings))
    await asyncio.to_thread(administrator.until_well)
    await eventually(lambda: served() == first, 60, "the certificate is not served")
    second = renew()
    await eventually(lambda: served() == second, 60, "the renewed certificate is not served within a minute")
    print(administrator.exec("inference", "python", "-c", ASK_INFERENCE))
    reached = [*daemon.from_outside, "bash", "-c", "exec 3<>/dev/tcp/10.231.9.2/3478"]
    await asyncio.to_thread(subprocess.run, reached, check=True, timeout=10)
    async with a_call(administrator) as (api, meeting, callers):
        assert await callers[0].moves()
        path = f"/meetings/{meeting}/stream-keys"
        key = await api.request("POST", path, {"name": "Stage", "role": "publish"})
        assert key["rtmp_urls"] == [f"rtmp://{daemon.address}:1935/live"]
        address = f"{key['rtmp_urls'][0]}/{key['secret']}"
        encoder = ROOT / "tests" / "parley" / "rtmp_encoder.py"
        command = [*daemon.from_outside, sys.executable, str(encoder), address, "120", "44100"]
        encoding = await asyncio.create_subprocess_exec(*command)
        try:
            await eventually(lambda: callers[0].sees(2), 60, "the stream is not seen")
        finally:
            encoding.kill()
            await encoding.wait()


def is_empty(project: Project) -> bool:
    """Return True if nobody is in a meeting. Browsers that ended without a word are still missed for a while."""
    said = project.exec("control", "parley", "nodes", "list")
    return re.search(r"^sfu-1 .*\b0 participants", said, re.M) is not None


def test_nothing_is_said_while_nothing_happens(administrator: Project) -> None:
    until(lambda: is_empty(administrator), 180, "somebody is still in a meeting")
    since = administrator.daemon.run("info", "--format", "{{.SystemTime}}").strip()
    subprocess.run(["sleep", "60"], check=True)
    parts = ("control", "sfu", "recorder", "gateway")
    lines = [line for part in parts for line in administrator.compose("logs", "--since", since, part).splitlines()]
    print("\n".join(lines[:20]))
    assert len(lines) <= LINES_OF_A_QUIET_MINUTE
    assert '"logger": "quic"' not in administrator.compose("logs", *parts)
