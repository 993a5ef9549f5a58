"""TURN: a real coturn, configured as shipped, accepts control's credentials and relays nothing to internal hosts."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.config import TurnConfig
from control.nodes import turn
from foundation.settings import SettingsError, resolve
from parley.network import allocate_port
from parley.part_configs import control_config
from parley_client import Api
from tests.support.call import become_admin
from tests.support.server import running_server

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "coturn" / "turnserver.conf"
SECRET = "turn-secret-of-this-test"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    home = tmp_path_factory.mktemp("coturn")
    chosen = allocate_port()
    command = [
        *("turnserver", "-c", str(CONFIGURATION), "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"),
        *("--listening-port", str(chosen), "--tls-listening-port", str(allocate_port()), "--realm", "turn.test"),
        *("--static-auth-secret", SECRET, "--log-file", str(home / "log"), "--simple-log", "--no-tls", "--no-dtls"),
        *("--pidfile", str(home / "pid"), "--db", str(home / "db")),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home)
    try:
        deadline = time.monotonic() + 10
        while f":{chosen:04X} " not in Path("/proc/net/udp").read_text():
            assert process.poll() is None and time.monotonic() < deadline, "coturn does not listen"
            time.sleep(0.02)
        yield chosen
    finally:
        process.terminate()
        process.wait(10)


def client(port: int, username: str, credential: str) -> str:
    """Return the output of coturn's own client for an allocation and a permission for a peer on loopback."""
    command = [
        *("turnutils_uclient", "-v", "-n", "1", "-m", "1", "-c", "-e", "127.0.0.1", "-p", str(port)),
        *("-u", username, "-w", credential, "127.0.0.1"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as hung:
        return (hung.stdout or b"").decode() + (hung.stderr or b"").decode()
    return done.stdout + done.stderr


def made(participant: str, at: float) -> tuple[str, str]:
    (server,) = turn.ice_servers(TurnConfig(urls=("turn:turn.test",), secret=SECRET), participant, int(at))
    assert server.username is not None and server.credential is not None
    return server.username, server.credential


def test_controls_credentials_are_taken_and_loopback_is_denied(port: int) -> None:
    said = client(port, *made("participant_1", time.time()))
    assert "success" in said, said
    assert "403" in said, said


def test_expired_and_forged_credentials_are_refused(port: int) -> None:
    username, credential = made("participant_1", time.time() - turn.LIFETIME_SECONDS - 60)
    assert "success" not in client(port, username, credential)
    username, credential = made("participant_1", time.time())
    assert "success" not in client(port, f"9{username}", credential)


def test_every_network_that_is_not_public_is_denied() -> None:
    denied = re.findall(r"^denied-peer-ip=(\S+)$", CONFIGURATION.read_text(), re.M)
    for network in ("10.", "127.", "169.254.", "172.16.", "192.168.", "100.64.", "fc00:", "fe80:", "::1", "::ffff:"):
        assert any(line.startswith(network) for line in denied), network


def test_settings_reach_control() -> None:
    base = {"HOME": "/nowhere", "PARLEY_NODE_SECRET": "s", "PARLEY_HTTPS_PORT": "-1"}
    assert control_config(resolve({}, base)).turn is None
    wanted = base | {"PARLEY_TURN_URLS": "turns:a:443?transport=tcp,turn:a:3478"}
    with pytest.raises(SettingsError, match="turn_secret"):
        control_config(resolve({}, wanted))
    given = control_config(resolve({}, wanted | {"PARLEY_TURN_SECRET": SECRET})).turn
    assert given is not None and given.urls == ("turns:a:443?transport=tcp", "turn:a:3478")
    assert SECRET not in repr(given)


@pytest.mark.parametrize("host", ["203.0.113.5", "203.0.113.5:443", "[2001:db8::5]:443?transport=tcp"])
def test_tls_is_asked_for_by_name(host: str) -> None:
    base = {"HOME": "/nowhere", "PARLEY_NODE_SECRET": "s", "PARLEY_HTTPS_PORT": "-1", "PARLEY_TURN_SECRET": SECRET}
    with pytest.raises(SettingsError, match="host name"):
        control_config(resolve({}, base | {"PARLEY_TURN_URLS": f"turn:{host},turns:{host}"}))
    assert control_config(resolve({}, base | {"PARLEY_TURN_URLS": f"turn:{host}"})).turn is not None


def test_mail_and_retention_are_settings_too() -> None:
    base = {"HOME": "/nowhere", "PARLEY_NODE_SECRET": "s", "PARLEY_HTTPS_PORT": "-1", "PARLEY_SMTP_HOST": "mail"}
    with pytest.raises(SettingsError, match="smtp_sender"):
        control_config(resolve({}, base))
    given = base | {"PARLEY_SMTP_SENDER": "a@b", "PARLEY_KEEP_CHAT_DAYS": "30"}
    config = control_config(resolve({}, given))
    assert config.smtp is not None and config.smtp.tls == "starttls"
    assert (config.retention.chat_days, config.retention.recordings_days) == (30, None)
    with pytest.raises(SettingsError, match="smtp_tls"):
        control_config(resolve({}, given | {"PARLEY_SMTP_TLS": "maybe"}))


async def test_who_joins_is_given_credentials_of_their_own() -> None:
    with running_server(turn_urls="turn:turn.test:3478", turn_secret=SECRET, https_port="-1") as server:
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            joined = await api.join(await api.create_meeting("Relayed"), "Ada")
    (offered,) = joined.ice_servers
    assert offered.urls == ["turn:turn.test:3478"]
    expires, _, participant = (offered.username or "").partition(":")
    assert participant == joined.participant
    assert 0 < int(expires) - time.time() <= turn.LIFETIME_SECONDS
