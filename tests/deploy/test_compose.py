"""Compose files: valid by the schema, and consistent with the parts' settings."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from foundation.setting_groups import SETTINGS
from parley.part_secrets import SECRETS_OF

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted((DEPLOY / "compose").glob("compose*.yaml"))
PACKAGES = {"parley", "foundation", "client", "phone", "__pycache__"}
OTHER_VARIABLES = {"PARLEY_SUPERVISOR_PID", "PARLEY_WAITS", "PARLEY_CONFIG"}  # of the supervisor and the command line
# Read by Compose itself, to fill in its files.
FILLED_IN = {
    "PARLEY_PUBLIC",  # before PARLEY_PUBLIC_HOSTS
    "PARLEY_IMAGE",
    "PARLEY_TRITON_IMAGE",
    "PARLEY_HTTP",
    "PARLEY_HTTPS",
    "PARLEY_SUBNET",
    "PARLEY_TLS",
    "PARLEY_TLS_ROOT",
    "PARLEY_LOOK_SECONDS",  # of the gateway's scripts, for their test
    "PARLEY_MODELS",
    "PARLEY_PRIVATE_ADDRESS",
    "PARLEY_HTTPS_ADDRESS",
    "PARLEY_TURN_ADDRESS",
    "PARLEY_TURN_NAME",
    "PARLEY_TURN_TLS",
}


def violations(path: Path) -> str:
    """Return the violations of the Compose Specification's schema in a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def load(name: str) -> dict[str, Any]:
    """Return a Compose file; a service that extends another has what that has, too."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / name).read_text())
    for service in loaded["services"].values():
        if extended := service.pop("extends", None):
            base = load(extended["file"])["services"][extended["service"]]
            environment = base.get("environment", {}) | service.get("environment", {})
            service.update(base | service | {"environment": environment})
    return loaded


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_follow_the_compose_specification(path: Path) -> None:
    assert violations(path) == ""


def test_the_check_can_fail(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DEPLOY / "compose" / "compose.yaml").read_text().replace("cap_drop: [ALL]", "cap_drops: [ALL]"))
    assert "cap_drops" in violations(wrong)


def deployed_texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and not PACKAGES & set(path.relative_to(DEPLOY).parts):
            yield path, path.read_text()


def test_every_variable_that_is_set_is_a_setting() -> None:
    known = {setting.variable for setting in SETTINGS} | OTHER_VARIABLES | FILLED_IN
    known |= {f"{variable}_FILE" for variable in known}
    unknown = {
        (str(path.relative_to(DEPLOY)), name)
        for path, text in deployed_texts()
        for name in re.findall(r"\bPARLEY_[A-Z0-9_]+", text)
        if name not in known
    }
    assert not unknown


def test_every_image_is_pinned_and_says_how_it_is_kept_up() -> None:
    images = 0
    for path in [*FILES, *(DEPLOY / "kubernetes").rglob("*.yaml"), *(DEPLOY / "docker").glob("*Dockerfile")]:
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            match = re.match(r"\s*-?\s*(?:image: |FROM (?!\$|dependencies)|ARG PYTHON=)(\S+)", line)
            if match is None:
                continue
            images += 1
            image = match[1].strip('"')
            assert re.search(r":\$?\{?[A-Za-z_:-]*v?\d[\w.-]*", image), f"{path.name}: {image} is not pinned"
            assert ":latest" not in image
            before = lines[number - 1].strip() if number else ""
            assert "#" in line or before.startswith("#"), f"{path.name}: no word about {image}'s upkeep"
    assert images > 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_our_own_containers_have_no_rights(path: Path) -> None:
    for name, service in load(path.name)["services"].items():
        if "PARLEY_IMAGE" in str(service.get("image")):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert "no-new-privileges:true" in service["security_opt"], name
            assert "healthcheck" in service, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_container_is_bounded_and_watched(path: Path) -> None:
    """But for those that end by themselves, and GPUs: what they take is the model's."""
    for name, service in load(path.name)["services"].items():
        if "image" not in service or service.get("restart") == "no":
            continue
        assert "pids_limit" in service and ("mem_limit" in service or name == "triton"), name
        assert "healthcheck" in service or name == "turn", f"{name}: its image has no client to ask it"


PARTS = ("control", "sfu", "recorder", "inference", "ingress", "phone")
OTHER_VERBS = {"migrate": {"database_url"}, "nginx-config": {"node_secret"}, "make-keys": set()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_container_is_given_only_the_secrets_that_its_part_uses(path: Path) -> None:
    for name, service in load(path.name)["services"].items():
        verb = (service.get("command") or [name])[0] if isinstance(service.get("command", []), list) else name
        if verb not in PARTS and verb not in OTHER_VERBS:
            continue
        allowed = SECRETS_OF[verb] if verb in PARTS else OTHER_VERBS[verb]
        mounted = {secret for secret in service.get("secrets", []) if not secret.startswith("tls_")}
        told = {
            setting.name
            for setting in SETTINGS
            if setting.secret and {setting.variable, f"{setting.variable}_FILE"} & set(service.get("environment") or {})
        }
        assert mounted | told <= allowed, name
        assert {one for one in told if f"PARLEY_{one.upper()}_FILE" in service["environment"]} <= mounted, name


def test_the_ports_are_those_that_users_know() -> None:
    published = [
        str(port) for service in load("compose.yaml")["services"].values() for port in service.get("ports", [])
    ]
    outside = {
        re.sub(r"^(?:127\.0\.0\.1|\$\{\w+:-0\.0\.0\.0\}):|:\d+(/\w+)?$", "", re.sub(r"\$\{\w+:-(\d+)\}", r"\1", p))
        for p in published
    }
    upgrade = {"8811", "8821"}
    assert outside - upgrade == {"8800", "443", "8810", "8820", "8801", "8802", "8803", "8804", "8805"}
    assert upgrade <= outside
    for port in published:
        if re.search(r"880[0-5]\b", port):
            assert port.startswith("127.0.0.1:"), f"{port}: operators' pages have no login of ours"


def test_base_has_no_ai_and_gpu_adds_it() -> None:
    assert not {"inference", "triton"} & set(load("compose.yaml")["services"])
    assert {"inference", "triton"} <= set(load("compose.gpu.yaml")["services"])
    assert set(load("compose.captions.yaml")["services"]) == {"models", "inference"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_services_refer_to_is_declared_in_the_base_or_the_overlay(path: Path) -> None:
    files = [load("compose.yaml"), load(path.name)]
    declared = {
        kind: {name for file in files for name in file.get(kind) or {}}
        for kind in ("services", "secrets", "volumes", "networks", "configs")
    }
    for name, service in load(path.name)["services"].items():
        for kind, used in references(service).items():
            assert used <= declared[kind], (name, kind, used - declared[kind])


def references(service: dict[str, Any]) -> dict[str, set[str]]:
    """Return the names that a service refers to, by what they name."""
    found = {kind: set[str]() for kind in ("secrets", "configs", "networks")}
    for kind, names in found.items():
        for one in service.get(kind, []):
            names.add(one["source"] if isinstance(one, dict) else one)
    sources = {one["source"] if isinstance(one, dict) else one.split(":")[0] for one in service.get("volumes", [])}
    found["volumes"] = {source for source in sources if not source.startswith((".", "/", "$"))}
    found["services"] = set(service.get("depends_on", []))
    if (mode := service.get("network_mode", "")).startswith("service:"):
        found["services"].add(mode.removeprefix("service:"))
    return found


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*/*.sh")), ids=lambda path: path.name)
def test_scripts_can_be_read_by_a_shell(path: Path) -> None:
    done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_mounted_files_exist() -> None:
    for path in FILES:
        for service in load(path.name)["services"].values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    assert (path.parent / source).exists(), f"{path.name}: {source}"


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    script = tmp_path / "make-secrets.sh"
    script.write_text((DEPLOY / "compose" / "make-secrets.sh").read_text())
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == {*load("compose.yaml")["secrets"], "turn_secret"}
    assert len(made["node_secret"]) > 30
    assert made["database_password"] in made["database_url"]
    subprocess.run(["sh", str(script)], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
