"""`parley phone`: run phone, which connects telephones by SIP."""

import argparse
import ipaddress
import re

from foundation.digest import Account
from foundation.settings import Settings, SettingsError
from parley import part_process
from parley.part_configs import control_url, listener_certificate, node_secret, port_range, with_extra
from parley.part_encryption import part_tls
from phone.config import PhoneConfig, Trunk
from phone.prompts import LANGUAGES

_TRUNK = re.compile(r"sip:(\[[0-9a-fA-F:]+\]|[^\s:;@\[\]]+)(?::(\d{1,5}))?(?:;transport=(udp|tcp|tls))?")


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    with_extra(settings.replaced(phone=True), "phone", "phone")
    from phone import main as phone_main  # noqa: PLC0415  an extra

    config = phone_config(settings)
    return part_process.run(settings, "phone", lambda ready: phone_main.run(config, ready), settings["phone_port"])


def phone_config(settings: Settings) -> PhoneConfig:
    """Return phone's configuration; raises SettingsError."""
    certificate, key = listener_certificate(settings, "sips_port")
    if settings["phone_language"] not in LANGUAGES:
        raise SettingsError(f"phone_language must be one of {', '.join(LANGUAGES)}")
    if settings["sip_address"]:
        try:
            ipaddress.ip_address(settings["sip_address"])
        except ValueError as error:
            raise SettingsError("sip_address must be an IP address") from error
    return PhoneConfig(
        instance=f"phone-{settings['sfu_node']}",
        control_url=control_url(settings),
        node_secret=node_secret(settings),
        tls=part_tls(settings),
        host=settings["sip_host"],
        port=settings["sip_port"],
        tls_port=settings["sips_port"],
        certificate=certificate,
        private_key=key,
        address=settings["sip_address"] or "",
        media_ports=port_range(settings, "sip_media_ports"),
        allowed=_networks(settings),
        login=_account(settings, "sip_login", "sip_login_password"),
        trunk=_trunk(settings),
        calls=settings["phone_calls"],
        encrypt=settings["sip_encrypt"],
        language=settings["phone_language"],
        prompts=settings["phone_prompts"],
    )


def _networks(settings: Settings) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(one, strict=False) for one in settings["sip_allowed"])
    except ValueError as error:
        raise SettingsError(f"sip_allowed: {error}") from error


def _account(settings: Settings, user: str, password: str) -> Account | None:
    if settings[user] is None:
        return None
    if not settings[password]:
        raise SettingsError(f"{user} needs {password}")
    return Account(settings[user], settings[password])


def _trunk(settings: Settings) -> Trunk | None:
    given = settings["sip_trunk"]
    account = _account(settings, "sip_trunk_user", "sip_trunk_password")
    if given is None:
        if account is not None or settings["sip_register"]:
            raise SettingsError("sip_trunk_user and sip_register need sip_trunk")
        return None
    found = _TRUNK.fullmatch(given)
    if found is None:
        raise SettingsError("sip_trunk must be sip:HOST, with :PORT and ;transport=tcp or ;transport=tls if needed")
    if settings["sip_register"] and account is None:
        raise SettingsError("sip_register needs sip_trunk_user and sip_trunk_password")
    transport = found[3] or "udp"
    port = int(found[2]) if found[2] else 5061 if transport == "tls" else 5060
    if not 1 <= port <= 65535:
        raise SettingsError("sip_trunk: its port must be between 1 and 65535")
    return Trunk(
        transport=transport,
        host=found[1].strip("[]"),
        port=port,
        domain=found[1] if port in {5060, 5061} else f"{found[1]}:{port}",
        account=account,
        registers=settings["sip_register"],
        caller=settings["sip_caller"] or "",
    )
