"""The gateway: an nginx configuration for the nginx that is there.

One origin for the page, REST, signaling, WHIP and WHEP. Media sockets and requests go straight to the sfu node that
control names for the meeting (`auth_request` to control's internal listener; the address never comes from the URL); if
control names none, the request goes to control itself, which answers with the reason. Nothing is sticky: state is in
PostgreSQL, and a room's node is a row there.

Versions differ: `http2 on` came with 1.25.1, QUIC with 1.25.0 and only where it is compiled in, names that are
looked up again while nginx runs (`resolve`) with 1.27.3; brotli is a module.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"nginx version: \S+?/(\d+)\.(\d+)\.(\d+)")
_HTTP2_DIRECTIVE = (1, 25, 1)
_RESOLVE = (1, 27, 3)
_ADDRESS = re.compile(r"([0-9.]+|\[[0-9a-fA-F:]+\]):\d+")


class NginxUnavailable(RuntimeError):
    """nginx cannot be asked for its version; the message says why."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """The capabilities of an nginx."""

    version: tuple[int, int, int]
    http3: bool = False
    brotli: str = ""
    """Path of the module, or `static` where it is compiled in."""

    @property
    def http2_directive(self) -> bool:
        return self.version >= _HTTP2_DIRECTIVE

    @property
    def resolves_again(self) -> bool:
        """True if an upstream's names are resolved again while nginx runs; else once, when it starts."""
        return self.version >= _RESOLVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The addresses on which nginx listens, and those behind it, each `host:port`.

    `redirect_http`: plain HTTP serves only this machine's own browsers, which take localhost for secure, and sends all
    others to HTTPS. `ai` are inference nodes; control reaches them, balanced, at `ai_listen`, which is for the inside
    alone. `control` may be several; `resolver` is a DNS server, needed where nodes have names. `state` is a
    directory that nginx may write: bodies of requests that are too large for memory, and `pid` where none is given.
    """

    control: tuple[str, ...]
    internal: str
    node_secret: str
    state: Path
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
    """Ask an nginx what it is; raises NginxUnavailable."""
    try:
        said = subprocess.run([binary, "-V"], capture_output=True, text=True, check=True, timeout=10).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise NginxUnavailable(f"cannot run {binary} -V: {error}") from error
    return read_version(said)


def read_version(said: str) -> Nginx:
    """Read what `nginx -V` prints, or a bare version such as 1.26.3; raises NginxUnavailable."""
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
    """The whole nginx.conf. It holds the node secret: keep it private. ValueError where values cannot be written."""
    addresses = (*gateway.control, gateway.internal, *gateway.http, *gateway.https, *gateway.ai, *gateway.ai_listen)
    for value in (*addresses, gateway.node_secret):
        if re.search(r"[\s;{}\"'$\\]", value):
            raise ValueError(f"{value!r} cannot be written into an nginx configuration")
    if not gateway.http and not gateway.https:
        raise ValueError("no address to listen on: set --listen-http or --listen-https")
    if gateway.https and not (gateway.certificate and gateway.private_key):
        raise ValueError("HTTPS needs a certificate and its private key")
    if len(gateway.ai) > 1 and _looks_ai_up(gateway):
        raise ValueError("of inference nodes behind a resolver only one has a name; it may stand for many addresses")
    servers = []
    if gateway.https:
        servers.append(_server(_tls_lines(gateway, nginx), _locations(gateway)))
    if gateway.http:
        locations = _locations(gateway)
        if gateway.https and gateway.redirect_http:
            locations = [*_redirect(gateway), *locations]
        servers.append(_server([f"listen {address};" for address in gateway.http], locations))
    if gateway.ai and gateway.ai_listen:
        servers.append(_server([f"listen {address};" for address in gateway.ai_listen], _ai_locations(gateway)))
    http = [*_http(gateway, nginx), *_compression(nginx), *_blocks(servers)]
    return "\n".join([*_main(gateway, nginx), "http {", *_indent(http), "}", ""])


def _main(gateway: Gateway, nginx: Nginx) -> list[str]:
    return [
        *([f"load_module {nginx.brotli};"] if nginx.brotli not in {"", "static"} else []),
        f"worker_processes {gateway.workers};",
        f"pid {gateway.pid or gateway.state / 'nginx.pid'};",
        "error_log stderr warn;",
        "worker_shutdown_timeout 1h;  # a reload leaves running meetings their sockets",
        "events {",
        "    worker_connections 8192;",
        "}",
    ]


def _http(gateway: Gateway, nginx: Nginx) -> list[str]:
    temporary = [
        f"{name}_temp_path {gateway.state}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    # Addresses and outcomes, no query strings: they hold tokens of one-time links.
    log = (
        'log_format events escape=json \'{"time":"$time_iso8601","part":"gateway","level":"info",'
        '"method":"$request_method","path":"$uri","status":$status,"bytes":$bytes_sent,'
        '"seconds":$request_time,"address":"$remote_addr","node":"$parley_node","trace":"$parley_trace"}\';'
    )
    return [
        *temporary,
        log,
        "access_log /dev/stdout events;",
        "server_tokens off;",
        "tcp_nodelay on;",
        "reset_timedout_connection on;",
        "client_header_timeout 15s;",
        "client_body_timeout 60s;",
        "send_timeout 60s;",
        "keepalive_timeout 65s;",
        "large_client_header_buffers 4 8k;",
        "default_type application/octet-stream;",
        # Generous: a whole company may come from one address. Accounts are counted by control as well.
        "limit_conn_zone $binary_remote_addr zone=connections:10m;",
        "limit_req_zone $binary_remote_addr zone=requests:10m rate=200r/s;",
        "limit_req_zone $binary_remote_addr zone=accounts:10m rate=10r/s;",
        "limit_req_status 429;",
        "limit_conn_status 429;",
        *([f"resolver {gateway.resolver} valid=10s;"] if gateway.resolver else []),
        *[f"set_real_ip_from {proxy};" for proxy in gateway.proxies],
        *(["real_ip_header X-Forwarded-For;"] if gateway.proxies else []),
        *_MAPS,
        *_upstream("parley_control", gateway.control, gateway, nginx),
        *_upstream("parley_internal", (gateway.internal,), gateway, nginx),
        *(_ai_upstream(gateway) if gateway.ai and not _looks_ai_up(gateway) else []),
    ]


_MAPS = [
    # Nothing but WebSocket: an upgrade to h2c would carry requests past every rule here.
    "map $http_upgrade $parley_upgrade { default ''; websocket websocket; }",
    "map $http_upgrade $parley_connection { default ''; websocket upgrade; }",
    "map $http_host $parley_host { default $http_host; '' $host; }",  # HTTP/3 may bring no Host
    r"map $http_traceparent $parley_trace { default ''; '~^[0-9a-f]{2}-(?<trace>[0-9a-f]{32})-' $trace; }",
    "map $host $parley_is_local { default 0; localhost 1; 127.0.0.1 1; '[::1]' 1; }",
]


def _upstream(name: str, addresses: tuple[str, ...], gateway: Gateway, nginx: Nginx) -> list[str]:
    """Named apart from every host: nginx takes `control:8082` for a port of an upstream named `control`.

    A container that was made anew has another address: names are looked up again where nginx can.
    """
    lines = [f"upstream {name} {{", f"    zone {name} 64k;"]
    for address in addresses:
        again = " resolve" if gateway.resolver and nginx.resolves_again and not _ADDRESS.fullmatch(address) else ""
        lines.append(f"    server {address} max_fails=3 fail_timeout=5s{again};")
    return [*lines, "    keepalive 64;", "}"]


def _looks_ai_up(gateway: Gateway) -> bool:
    """True if names of inference nodes are resolved for each request; else once, when nginx starts."""
    return bool(gateway.resolver) and not all(_ADDRESS.fullmatch(node) for node in gateway.ai)


def _ai_upstream(gateway: Gateway) -> list[str]:
    servers = [f"    server {address} max_fails=2 fail_timeout=5s;" for address in gateway.ai]
    return ["upstream parley_ai {", "    zone parley_ai 64k;", "    least_conn;", *servers, "}"]


def _compression(nginx: Nginx) -> list[str]:
    # Only what holds no secret beside what a stranger chose (BREACH): no JSON of the API.
    types = "text/css text/javascript image/svg+xml application/manifest+json text/vtt application/wasm"
    lines = ["gzip on;", "gzip_comp_level 5;", "gzip_min_length 1024;", "gzip_proxied any;", "gzip_vary on;"]
    lines.append(f"gzip_types {types};")
    if nginx.brotli:
        lines += ["brotli on;", "brotli_comp_level 5;", "brotli_min_length 1024;", f"brotli_types {types};"]
    return lines


def _tls_lines(gateway: Gateway, nginx: Nginx) -> list[str]:
    """Listening and TLS: 1.2 and 1.3, forward secrecy and AEAD only (Mozilla's intermediate set)."""
    kind = "ssl" if nginx.http2_directive else "ssl http2"
    lines = [f"listen {address} {kind};" for address in gateway.https]
    if nginx.http2_directive:
        lines.append("http2 on;")
    if nginx.http3:
        lines += [*(f"listen {address} quic reuseport;" for address in gateway.https), "http3 on;"]
    lines += [
        f"ssl_certificate {gateway.certificate};",
        f"ssl_certificate_key {gateway.private_key};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;",
        "ssl_prefer_server_ciphers off;",
        "ssl_session_cache shared:tls:10m;",
        "ssl_session_timeout 1d;",
        "ssl_session_tickets off;",
        'add_header Strict-Transport-Security "max-age=31536000" always;',
    ]
    if nginx.http3:
        lines.append(f"add_header Alt-Svc 'h3=\":{gateway.https_port_outside}\"; ma=86400' always;")
    return lines


def _redirect(gateway: Gateway) -> list[str]:
    port = "" if gateway.https_port_outside == 443 else f":{gateway.https_port_outside}"
    return ["if ($parley_is_local = 0) {", f"    return 308 https://$host{port}$request_uri;", "}"]


def _server(listening: list[str], locations: list[str]) -> list[str]:
    return ["server {", *_indent([*listening, *locations]), "}"]


_FORWARDED = [
    "proxy_http_version 1.1;",
    "proxy_set_header Host $parley_host;",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_set_header Upgrade $parley_upgrade;",
    "proxy_set_header Connection $parley_connection;",
]


def _locations(gateway: Gateway) -> list[str]:
    hidden = [["location " + place + " {", "    return 404;", "}"] for place in ("= /metrics", "/internal/", "/node/")]
    blocks = [
        *_to_control(gateway),
        *hidden,
        _to_node("location = /ws/signaling", "502 504 ", ["proxy_read_timeout 75s;", "proxy_send_timeout 75s;"]),
        _to_node("location ~ ^/(whip|whep)(/|$)", "", ["client_max_body_size 256k;", "proxy_read_timeout 15s;"]),
        ["location @control {", "    proxy_pass http://parley_control;", "    proxy_read_timeout 75s;", "}"],
        _route(gateway),
    ]
    return [
        "client_max_body_size 6m;",
        "limit_conn connections 2000;",
        'set $parley_node "";',
        "proxy_connect_timeout 3s;",
        "proxy_read_timeout 60s;",
        *_FORWARDED,
        *_blocks(blocks),
    ]


def _to_control(gateway: Gateway) -> list[list[str]]:
    """Page and REST. What is large is streamed both ways: no copy on this disk, a slow side slows the other down."""
    at_control = "    proxy_pass http://parley_control;"
    return [
        ["location / {", at_control, "    limit_req zone=requests burst=1000 nodelay;", "}"],
        [
            "location ~ ^/api/v1/(auth|setup|csrf-token) {",
            at_control,
            "    limit_req zone=accounts burst=100 nodelay;",
            "}",
        ],
        [
            "location ~ ^/api/v1/(media/upload|users/upload-avatar|ai/) {",
            at_control,
            "    proxy_request_buffering off;",
            f"    client_max_body_size {gateway.max_upload_bytes};",
            "    proxy_read_timeout 10m;",
            "}",
        ],
        [
            "location ~ ^/api/v1/(media/download|recordings?|meetings/[^/]+/recordings?)/ {",
            at_control,
            "    proxy_buffering off;",
            "    proxy_read_timeout 10m;",
            "}",
        ],
    ]


def _route(gateway: Gateway) -> list[str]:
    """The question to control which node a request belongs to."""
    return [
        "location = /parley-route {",
        "    internal;",
        "    proxy_pass http://parley_internal/internal/v1/route;",
        '    proxy_set_header Connection "";',
        "    proxy_pass_request_body off;",
        "    proxy_pass_request_headers off;",
        '    proxy_set_header Content-Length "";',
        "    proxy_set_header X-Original-URI $request_uri;",
        "    proxy_set_header X-Original-Authorization $http_authorization;",
        f'    proxy_set_header Authorization "Bearer {gateway.node_secret}";',
        "    proxy_connect_timeout 2s;",
        "    proxy_read_timeout 5s;",
        "}",
    ]


def _ai_locations(gateway: Gateway) -> list[str]:
    """Files go to the node with the least to do, past those that do not answer; names are looked up anew.

    A file that was sent is not sent to a second node: control's job tries again by itself.
    """
    names = [f"set $parley_ai {gateway.ai[0]};"] if _looks_ai_up(gateway) else []
    return [
        "location /ai/v1/ {",
        *_indent(names),
        f"    proxy_pass http://{'$parley_ai' if names else 'parley_ai'};",
        "    proxy_http_version 1.1;",
        '    proxy_set_header Connection "";',
        "    proxy_request_buffering off;",
        "    proxy_buffering off;",
        f"    client_max_body_size {gateway.max_upload_bytes};",
        "    proxy_connect_timeout 2s;",
        "    proxy_read_timeout 5m;",
        "    proxy_next_upstream error timeout http_502 http_503;",
        "}",
        "location / {",
        "    return 404;",
        "}",
    ]


def _to_node(location: str, also: str, more: list[str]) -> list[str]:
    """`also`: failures of the node after which control may be asked, too; what is posted is not posted twice."""
    return [
        f"{location} {{",
        "    auth_request /parley-route;",
        "    auth_request_set $parley_node $upstream_http_x_parley_node;",
        f"    error_page 401 403 500 {also}= @control;",
        "    proxy_pass http://$parley_node;",
        "    proxy_buffering off;",
        *_indent(more),
        "}",
    ]


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _blocks(blocks: list[list[str]]) -> list[str]:
    return [line for block in blocks for line in ["", *block]]
