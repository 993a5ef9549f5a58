"""`parley nginx-config`: write the gateway's configuration for the installed nginx, or for a given version."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from foundation import private_file
from foundation.settings import Settings, SettingsError, with_secrets
from parley import nginx_config
from parley.certificate import ensure
from parley.network import url_host
from parley.nginx_config import Gateway, Nginx, NginxUnavailable, PartFiles
from parley.part_encryption import part_tls


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Write the configuration; return the exit code. Raises SettingsError for invalid values."""
    settings = with_secrets(settings)
    http = f"{url_host(settings['http_host'])}:{settings['http_port']}"
    certificate, key = chosen.certificate, chosen.private_key
    if certificate is None and chosen.tls is not None:
        made = ensure(chosen.tls, ["localhost", "127.0.0.1", *settings["public_hosts"]], datetime.now(UTC))
        certificate, key = made.certificate, made.key
    gateway = Gateway(
        control=tuple(chosen.control or [http]),
        internal=chosen.internal or f"{url_host(settings['internal_host'])}:{settings['internal_port']}",
        node_secret=settings["node_secret"],
        parts=_part_files(settings),
        state=chosen.state,
        pid=chosen.pid,
        http=tuple(chosen.listen_http),
        https=tuple(chosen.listen_https),
        ai=tuple(chosen.ai),
        ai_listen=tuple(chosen.listen_ai),
        certificate=certificate,
        private_key=key,
        redirect_http=not chosen.no_redirect,
        https_port_outside=chosen.https_port_outside,
        resolver=chosen.resolver,
        proxies=tuple(chosen.proxy),
        max_upload_bytes=settings["max_upload_bytes"],
    )
    try:
        text = nginx_config.render(gateway, _nginx(chosen))
    except (NginxUnavailable, ValueError) as error:
        raise SettingsError(f"nginx-config: {error}") from error
    if chosen.out:
        private_file.replace(Path(chosen.out), text.encode())
    else:
        sys.stdout.write(text)
    return 0


def _part_files(settings: Settings) -> PartFiles | None:
    if part_tls(settings) is None:
        return None
    return PartFiles(settings["parts_certificate"], settings["parts_key"], settings["parts_ca"])


def _nginx(chosen: argparse.Namespace) -> Nginx:
    if not chosen.nginx_version:
        return nginx_config.found(chosen.nginx)
    named = nginx_config.read_version(chosen.nginx_version)
    return Nginx(named.version, http3=chosen.with_http3)
