"""The gateway: an nginx configuration for the installed nginx.

The page, REST, signaling, WHIP and WHEP share one origin. Signaling, WHIP and WHEP go directly to the sfu node that
control returns for the meeting (`auth_request` to control's internal listener; the address never comes from the URL).
If control returns none, the request goes to control itself, which answers with the reason. Nothing is sticky: state is
in PostgreSQL, and a room's node is a row there.

Versions differ: `http2 on` came with 1.25.1; QUIC with 1.25.0, if it is compiled in; names that are resolved again
while nginx runs (`resolve`) with 1.27.3; brotli is a module.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from foundation.part_tls import PART_NAME

_VERSION = re.compile(r"nginx version: \S+?/(\d+)\.(\d+)\.(\d+)")
_HTTP2_DIRECTIVE = (1, 25, 1)
_RESOLVE = (1, 27, 3)
_TEMPLATES = Environment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701  it is not HTML; `render` refuses values that could break out
)
_ADDRESS = re.compile(r"([0-9.]+|\[[0-9a-fA-F:]+\]):\d+")


class NginxUnavailable(RuntimeError):
    """The version of nginx cannot be determined; the message says why."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """The capabilities of an nginx installation."""

    version: tuple[int, int, int]
    http3: bool = False
    brotli: str = ""
    """Path of the module, or `static` if it is compiled in."""

    @property
    def http2_directive(self) -> bool:
        return self.version >= _HTTP2_DIRECTIVE

    @property
    def resolves_again(self) -> bool:
        """True if names of an upstream are resolved again while nginx runs; otherwise only at the start."""
        return self.version >= _RESOLVE


class PartFiles(NamedTuple):
    """The gateway's certificate as a part, its key, and the authority of all parts."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The addresses on which nginx listens, and those of the servers behind it, each `host:port`.

    `redirect_http`: plain HTTP serves only browsers on this machine, which treat localhost as secure, and redirects all
    others to HTTPS. `ai` lists inference nodes; control reaches them, load-balanced, at `ai_listen`, which must be
    private. With `parts`, nodes, inference and control's internal listener are reached over mutual TLS. `control` may
    list several; `resolver` is a DNS server, needed if nodes have names. `state` is a directory that nginx can write:
    for request bodies that are too large for memory, and for the pid file unless `pid` is given.
    """

    control: tuple[str, ...]
    internal: str
    node_secret: str
    state: Path
    parts: PartFiles | None = None
    pid: Path | None = None
    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    ai: tuple[str, ...] = ()
    ai_listen: tuple[str, ...] = ()
    redirect_http: bool = True
    https_port_outside: int = 443
    resolver: str = ""
    proxies: tuple[str, ...] = ()
    max_upload_bytes: int = 2 * 1024**3
    workers: str = "auto"


def found(binary: str = "nginx") -> Nginx:
    """Ask nginx for its version and modules; raises NginxUnavailable."""
    try:
        said = subprocess.run([binary, "-V"], capture_output=True, text=True, check=True, timeout=10).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise NginxUnavailable(f"cannot run {binary} -V: {error}") from error
    return read_version(said)


def read_version(said: str) -> Nginx:
    """Parse the output of `nginx -V`, or a bare version such as 1.26.3; raises NginxUnavailable."""
    match = _VERSION.search(said) or re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", said.strip())
    if match is None:
        raise NginxUnavailable(f"not an nginx version: {said[:80]!r}")
    version = (int(match[1]), int(match[2]), int(match[3]))
    modules = re.search(r"--modules-path=(\S+)", said)
    module = Path(modules[1]) / "ngx_http_brotli_filter_module.so" if modules else None
    brotli = "static" if re.search(r"--add-module=\S*brotli", said) else ""
    if module is not None and module.is_file():
        brotli = str(module)
    return Nginx(version, "--with-http_v3_module" in said, brotli)


def render(gateway: Gateway, nginx: Nginx) -> str:
    """Return the nginx.conf. It contains the node secret: keep it private. Raises ValueError for invalid values."""
    addresses = (*gateway.control, gateway.internal, *gateway.http, *gateway.https, *gateway.ai, *gateway.ai_listen)
    for value in (*addresses, gateway.node_secret):
        if re.search(r"[\s;{}\"'$\\]", value):
            raise ValueError(f"{value!r} cannot be written into an nginx configuration")
    if not gateway.http and not gateway.https:
        raise ValueError("no address to listen on: set --listen-http or --listen-https")
    if gateway.https and not (gateway.certificate and gateway.private_key):
        raise ValueError("HTTPS needs a certificate and its private key")
    if len(gateway.ai) > 1 and _looks_ai_up(gateway):
        raise ValueError("with a resolver, only one inference node can be given; its name may have many addresses")
    template = _TEMPLATES.from_string((Path(__file__).parent / "nginx.conf.j2").read_text(encoding="utf-8"))
    return template.render(
        gateway=gateway, nginx=nginx, looks_ai_up=_looks_ai_up(gateway), is_name=_is_name, part_name=PART_NAME
    )


def _looks_ai_up(gateway: Gateway) -> bool:
    """Return True if names of inference nodes are resolved for each request; otherwise only when nginx starts."""
    return bool(gateway.resolver) and any(_is_name(node) for node in gateway.ai)


def _is_name(address: str) -> bool:
    return not _ADDRESS.fullmatch(address)
