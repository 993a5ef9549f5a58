"""Each process of a running server has the secrets that it uses, and no others, as read from the processes."""

import base64
from pathlib import Path

import pytest

from foundation.setting_groups import SETTINGS
from parley.part_secrets import SECRETS_OF, inherited
from tests.support.server import running_server

SECRETS = [setting for setting in SETTINGS if setting.secret]
# What names a store of one's own would have the server look for it.
ADDRESSES = {"database_url", "redis_url", "mongodb_url"}


def test_control_has_every_secret_but_those_of_backups_and_telephones() -> None:
    of_backups = {"backup_key", "backup_s3_access_key", "backup_s3_secret_key"}
    of_phone = {"sip_login_password", "sip_trunk_password"}
    assert SECRETS_OF["control"] == {setting.name for setting in SECRETS} - of_backups - of_phone
    assert all(names <= SECRETS_OF["control"] | of_phone for names in SECRETS_OF.values())
    assert of_phone <= SECRETS_OF["phone"]


@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_none_is_passed_on_unasked(suffix: str) -> None:
    environment = {f"{setting.variable}{suffix}": "x" for setting in SECRETS} | {"PATH": "/bin", "PARLEY_SFU_NODE": "n"}
    assert inherited(environment) == {"PATH": "/bin", "PARLEY_SFU_NODE": "n"}


def test_the_processes_of_a_server_hold_no_others() -> None:
    markers = {setting.name: f"marker-of-{setting.name}" for setting in SECRETS if setting.name not in ADDRESSES}
    markers["recordings_keys"] = base64.b64encode(b"marker of keys of recordings 32!").decode()
    values = markers | {"livekit_keys": f"key: {markers['livekit_keys']:x<32}"}
    with running_server(ingress="true", phone="true", **values) as server:
        for part in ("control", "sfu", "recorder", "inference", "ingress", "phone", "postgres", "redis"):
            environment = Path(f"/proc/{server.part_pid(part)}/environ").read_bytes().decode()
            held = {name for name, marker in markers.items() if marker in environment}
            assert held == SECRETS_OF.get(part, frozenset()) & markers.keys(), part
