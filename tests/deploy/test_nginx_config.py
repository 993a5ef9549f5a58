"""The gateway's configuration, for every supported nginx and accepted by the installed one."""

import datetime
import os
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from parley import certificate, nginx_config
from parley.cli import main
from parley.nginx_config import Gateway, Nginx, NginxUnavailable

UNPRIVILEGED = ["--user", "--map-current-user", "--keep-caps"]
ROOT = Path(__file__).parents[2]
DEBIAN_12 = Nginx((1, 22, 1))
DEBIAN_13 = Nginx((1, 26, 3), http3=True)
COMPOSE = Nginx((1, 29, 4), http3=True)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    made = certificate.ensure(tmp_path / "tls", ["localhost"], datetime.datetime.now(datetime.UTC))
    return Gateway(
        control=("127.0.0.1:8800", "127.0.0.1:8801"),
        internal="127.0.0.1:8082",
        node_secret="secret",
        state=tmp_path,
        http=("127.0.0.1:18800",),
        https=("127.0.0.1:18443", "[::1]:18443"),
        certificate=made.certificate,
        private_key=made.key,
        ai=("127.0.0.1:8085", "127.0.0.1:9085"),
        ai_listen=("127.0.0.1:18085",),
        resolver="127.0.0.11",
        proxies=("10.0.0.0/8",),
    )


def check(text: str, directory: Path) -> str:
    """Return the complaints of `nginx -t`; "" when it accepts."""
    path = directory / "nginx.conf"
    path.write_text(text)
    done = subprocess.run(["nginx", "-t", "-q", "-c", str(path)], capture_output=True, text=True, check=False)
    return done.stderr or ("" if done.returncode == 0 else "refused")


def test_the_nginx_found_accepts_its_configuration(gateway: Gateway, tmp_path: Path) -> None:
    assert check(nginx_config.render(gateway, nginx_config.found()), tmp_path) == ""


def test_the_check_can_fail(gateway: Gateway, tmp_path: Path) -> None:
    text = nginx_config.render(gateway, nginx_config.found()).replace("auth_request /", "auth_requests /", 1)
    assert "auth_requests" in check(text, tmp_path)


@pytest.mark.parametrize("without", [{"http": ()}, {"https": ()}, {"resolver": "", "proxies": ()}, {"ai": ()}])
def test_every_choice_is_accepted(gateway: Gateway, tmp_path: Path, without: dict[str, object]) -> None:
    chosen = replace(gateway, **without)  # type: ignore[arg-type]  # fields by name
    assert check(nginx_config.render(chosen, nginx_config.found()), tmp_path) == ""


def test_inference_nodes_are_balanced_by_address_and_looked_up_by_name(gateway: Gateway, tmp_path: Path) -> None:
    assert "server 127.0.0.1:9085 " in nginx_config.render(gateway, DEBIAN_13)
    named = replace(gateway, ai=("inference:8085",))
    text = nginx_config.render(named, nginx_config.found())
    assert "set $parley_ai inference:8085;" in text and check(text, tmp_path) == ""
    with pytest.raises(ValueError, match="only one inference node"):
        nginx_config.render(replace(gateway, ai=("one:8085", "two:8085")), DEBIAN_13)


def test_older_versions_get_nothing_that_they_do_not_know(gateway: Gateway) -> None:
    old = nginx_config.render(gateway, DEBIAN_12)
    assert "listen 127.0.0.1:18443 ssl http2;" in old
    assert "http2 on" not in old and "quic" not in old and "http3" not in old and "Alt-Svc" not in old
    new = nginx_config.render(gateway, DEBIAN_13)
    assert "http2 on;" in new and "listen [::1]:18443 quic" in new and "Alt-Svc" in new


def test_versions_are_read() -> None:
    assert nginx_config.read_version("nginx version: nginx/1.22.1\nconfigure arguments: --with-x") == DEBIAN_12
    said = "nginx version: openresty/1.25.3\nconfigure arguments: --with-http_v3_module --add-module=/src/ngx_brotli"
    assert nginx_config.read_version(said) == Nginx((1, 25, 3), http3=True, brotli="static")
    assert nginx_config.read_version("1.28.0").version == (1, 28, 0)
    with pytest.raises(NginxUnavailable):
        nginx_config.read_version("Apache/2.4")
    with pytest.raises(NginxUnavailable):
        nginx_config.found("/nowhere/nginx")


def test_brotli_where_its_module_is_there(gateway: Gateway) -> None:
    text = nginx_config.render(gateway, replace(DEBIAN_13, brotli="/usr/lib/nginx/modules/b.so"))
    assert "load_module /usr/lib/nginx/modules/b.so;" in text and "brotli on;" in text


@pytest.mark.parametrize("value", ["a b:1", "a;return 200", "a:1}", "$host:1", 'a"'])
def test_values_cannot_break_out(gateway: Gateway, value: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        nginx_config.render(replace(gateway, internal=value), DEBIAN_13)


def own_files(directory: Path) -> list[str]:
    return ["--state", str(directory), "--pid", str(directory / "nginx.pid")]


def test_the_verb_writes_it_privately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", "s3cret")
    monkeypatch.setenv("PARLEY_MAX_UPLOAD_BYTES", "5000000000")
    out = tmp_path / "nginx.conf"
    assert shutil.which("nginx")
    assert main(["nginx-config", "--listen-http", "127.0.0.1:18800", *own_files(tmp_path), "--out", str(out)]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "Bearer s3cret" in out.read_text()
    assert "client_max_body_size 5000000000;" in out.read_text()
    assert check(out.read_text(), tmp_path) == ""


def test_the_verb_keeps_to_the_files_of_distributions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", "s3cret")
    assert main(["nginx-config", "--listen-http", "127.0.0.1:18800"]) == 0
    said = capsys.readouterr().out
    assert "pid /run/nginx.pid;" in said and "client_body_temp_path /var/lib/nginx/client_body;" in said


def test_a_gateway_that_listens_nowhere_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", "s3cret")
    assert main(["nginx-config"]) == 2
    assert "--listen-http" in capsys.readouterr().err


def test_names_are_looked_up_again_where_nginx_can(gateway: Gateway) -> None:
    named = replace(gateway, control=("control:8800",), internal="control:8082")
    assert "server control:8800 max_fails=3 fail_timeout=5s resolve;" in nginx_config.render(named, COMPOSE)
    assert " resolve;" not in nginx_config.render(gateway, COMPOSE), "addresses need no look-up"
    assert " resolve;" not in nginx_config.render(named, DEBIAN_13)


def compose_gateways() -> list[list[str]]:
    """Arguments of each Compose file's `gateway-config`."""
    files = sorted((ROOT / "deploy" / "compose").glob("compose*.yaml"))
    services = [yaml.safe_load(path.read_text())["services"].get("gateway-config") for path in files]
    return [service["command"] for service in services if service]


@pytest.mark.parametrize("command", compose_gateways(), ids=["compose.remote", "compose"])
def test_compose_files_give_a_configuration_that_nginx_accepts(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the names of services, which nginx once took for those of its own upstreams."""
    monkeypatch.setenv("PARLEY_NODE_SECRET", "s3cret")
    verb, *flags = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", part) for part in command]
    of_containers = ("--nginx-version", "--with-http3", "--out", "--state", "--pid")
    flags = [flag for flag in flags if not flag.startswith(of_containers)]
    made = certificate.ensure(tmp_path / "tls", ["localhost"], datetime.datetime.now(datetime.UTC))
    places = {"--certificate": made.certificate, "--private-key": made.key, "--tls": tmp_path / "tls"}
    flags = [f"{name}={places[name]}" if (name := flag.split("=")[0]) in places else flag for flag in flags]
    out = tmp_path / "nginx.conf"
    assert main([verb, *flags, *own_files(tmp_path), "--out", str(out)]) == 0
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost control inference gateway\n")
    checked = f"mount --bind {hosts} /etc/hosts && nginx -t -q -c {out}"
    done = subprocess.run(
        ["unshare", *([] if os.getuid() == 0 else UNPRIVILEGED), "--mount", "sh", "-c", checked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "" and done.returncode == 0


def test_the_verb_names_what_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", "s3cret")
    assert main(["nginx-config", "--listen-https", "127.0.0.1:1"]) == 2
    assert "certificate" in capsys.readouterr().err
