"""Configuration of the phone process: plain values. Only the `parley` package reads flags and files."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from foundation.digest import Account
from foundation.part_tls import PartTls


@dataclass(frozen=True, kw_only=True, slots=True)
class Trunk:
    """The provider, or telephone system, through which calls are placed: a SIP server at HOST:PORT.

    With an account, phone authenticates there, and with `registers` it also registers there, for calls that come in.
    `caller` is the number that we call from.
    """

    transport: str
    host: str
    port: int
    domain: str
    account: Account | None = None
    registers: bool = False
    caller: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneConfig:
    """Settings of one phone process.

    SIP is served on `port` (UDP and TCP) and `tls_port`, unless they are -1. Calls are accepted from `allowed` networks
    and the trunk without a password, and from everywhere with `login`. `address` is the address that others reach us
    at; "" is the local one of each route. At most `calls` calls are handled at the same time.
    """

    instance: str
    control_url: str
    node_secret: str = field(repr=False)
    tls: PartTls | None = None
    host: str = "0.0.0.0"  # noqa: S104  phones and providers connect
    port: int = 5060
    tls_port: int = -1
    certificate: Path | None = None
    private_key: Path | None = None
    address: str = ""
    media_ports: tuple[int, int] = (0, 0)
    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    login: Account | None = None
    trunk: Trunk | None = None
    calls: int = 20
    encrypt: bool = False
    """True to offer SRTP for calls that we place; calls that come in decide for themselves."""
    language: str = "en"
    prompts: Path | None = None
    """Directory of WAV files that replace our prompts."""
