"""Settings: what can be set, and where each value came from.

Precedence: command-line flag, environment (`PARLEY_NAME`, or `PARLEY_NAME_FILE` for a file that holds the value), TOML
file, default. Secrets have no default: they are generated once (0600) while every store is embedded; with an external
store a missing secret stops the start.
"""

import os
import secrets
import tempfile
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.setting_forms import FORMS


class SettingsError(ValueError):
    """A setting is missing or does not parse; the message names it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name, the type of its value (int, bool, str, Path or list of str), default and meaning."""

    name: str
    kind: type
    default: Any
    meaning: str
    secret: bool = False
    live: bool = False
    """Whether it may change while a part runs (foundation.hot_settings)."""

    @property
    def variable(self) -> str:
        return f"PARLEY_{self.name.upper()}"


def default_data_directory(environment: Mapping[str, str]) -> Path:
    """XDG's data directory (Base Directory Specification) with `parley` below it."""
    base = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME", "/")) / ".local" / "share")
    return Path(base) / "parley"


SETTINGS = (
    Setting("data_dir", Path, None, "everything that must survive a restart"),
    Setting("runtime_dir", Path, None, "sockets and pid files; a short path"),
    Setting("http_host", str, "127.0.0.1", "address of plain HTTP (browsers allow cameras on localhost)"),
    Setting("http_port", int, 8800, "port of plain HTTP; 0 allocates"),
    Setting("https_host", str, "0.0.0.0", "address of HTTPS"),  # noqa: S104  phones must reach it
    Setting("https_port", int, 8443, "port of HTTPS; 0 allocates, -1 turns it off"),
    Setting("tls_certificate", Path, None, "PEM chain for HTTPS; generated when unset"),
    Setting("tls_key", Path, None, "PEM key for HTTPS"),
    Setting("public", list, (), "host names or addresses under which this server is reached from outside"),
    Setting("origins", list, (), "origins of a gateway before this server (https://meet.example.org), for links"),
    Setting("trusted_proxies", list, (), "addresses or networks of gateways whose X-Forwarded-For is believed"),
    Setting("cookies", str, "auto", "auto: secure cookies over HTTPS; always: behind a gateway that ends TLS"),
    Setting("internal_host", str, "127.0.0.1", "address on which control serves the other parts"),
    Setting("http3", bool, True, "whether HTTPS is also spoken over QUIC, on the UDP port of the same number"),
    Setting("internal_port", int, 8082, "port on which control serves the other parts"),
    Setting("control_url", str, None, "where the other parts reach that; unset: on this machine"),
    Setting("nodes", list, (), "sfu nodes, each NAME=HOST:SIGNALING_PORT:HTTP_PORT; empty: the one of this machine"),
    Setting("nodes_file", Path, None, "a TOML file of sfu nodes, read again when it changes"),
    Setting("node", str, "sfu-1", "name of this sfu node"),
    Setting("region", str, "", "where this machine is; new rooms go to the nearest nodes"),
    Setting("region_header", str, None, "header in which a gateway says where a request comes from"),
    Setting("etcd_urls", list, (), "etcd in which sfu nodes register; none: those listed above"),
    Setting("etcd_username", str, None, "account at etcd"),
    Setting("etcd_password", str, None, "its password", secret=True),
    Setting("etcd_ca", Path, None, "PEM file of the authority that etcd's certificate is checked with"),
    Setting("workers", int, 1, "sfu processes on this machine, each a node of its own"),
    Setting("drain_seconds", float, 0, "how long a stopping sfu lets meetings go on; then they move; -1: they do not"),
    Setting("sfu_host", str, "127.0.0.1", "address of the sfu's signaling and HTTP"),
    Setting("sfu_advertised_host", str, None, "where control and the gateway reach this sfu; unset: sfu_host"),
    Setting("sfu_udp_port", int, 8810, "UDP port of the sfu; 0 allocates"),
    Setting("sfu_tcp_port", int, 0, "TCP port of the sfu, for clients without UDP; 0: sfu_udp_port's number, -1: none"),
    Setting("sfu_webtransport_port", int, 8820, "UDP port of signaling over WebTransport; 0 allocates, -1: none"),
    Setting("sfu_webtransport_certificate", Path, None, "PEM chain for it; unset: one that pages know by its hash"),
    Setting("sfu_webtransport_key", Path, None, "PEM key for it"),
    Setting("sfu_signaling_port", int, 8081, "port of the sfu's signaling"),
    Setting("sfu_http_port", int, 8084, "port of the sfu's WHIP, WHEP, node API and metrics"),
    Setting("sfu_addresses", list, (), "local addresses the sfu binds; empty: every one of this machine"),
    Setting("engine", str, "auto", "packet engine: auto, compiled or python"),
    Setting("estimation", bool, True, "whether what links carry is estimated; off only to compare and to diagnose"),
    Setting("max_participants", int, 200, "participants that a room takes at most", live=True),
    Setting("spill_at", int, 0, "participants of a room that a node takes before it spills over to another; 0: never"),
    Setting("max_transports", int, 32, "plain RTP transports that a room has at most"),
    Setting("transport_networks", list, (), "networks (CIDR) of their far ends; empty: there are none"),
    Setting("transport_ports", str, None, "UDP ports of those that receive, FIRST-LAST; unset: any"),
    Setting("transcode_sound", bool, True, "whether what telephones speak is converted on them; off: it is refused"),
    Setting("sink_sockets", list, (), "sockets between sfu processes and their sinks; unset: in runtime_dir"),
    Setting("metrics_host", str, "127.0.0.1", "address of the recorder's metrics and of inference's API and metrics"),
    Setting("recorder_port", int, 8086, "port of the recorder's metrics"),
    Setting("inference_port", int, 8085, "port of inference's API and metrics"),
    Setting("database_url", str, None, "external PostgreSQL 15 or newer; unset: embedded", secret=True),
    Setting("redis_url", str, None, "external Redis or Valkey; unset: embedded", secret=True),
    Setting(
        "kafka_brokers", list, (), "Kafka brokers that events go to, each HOST:PORT; none: events stay in PostgreSQL"
    ),
    Setting("mongodb_url", str, None, "MongoDB that results of AI are kept in; unset: in PostgreSQL", secret=True),
    Setting("recordings_dir", Path, None, "where recordings are written; unset: below data_dir"),
    Setting("s3_endpoint", str, None, "S3 or MinIO, https://host[:port], for recordings and files; unset: directories"),
    Setting("s3_bucket", str, "parley", "bucket in it, made when it is missing"),
    Setting(
        "s3_public_endpoint", str, None, "the same as browsers reach it: links to files lead there; unset: through us"
    ),
    Setting("s3_region", str, "us-east-1", "its region"),
    Setting("s3_access_key", str, None, "access key to it", secret=True),
    Setting("s3_secret_key", str, None, "secret key to it", secret=True),
    Setting("media_dir", Path, None, "where uploaded files are kept without S3; unset: below data_dir"),
    Setting("max_upload_bytes", int, 2 * 1024**3, "largest file that may be uploaded"),
    Setting("quota_bytes", int, 20 * 1024**3, "what one account may keep in files"),
    Setting("requests_per_minute", int, 1200, "what one account or guest may ask"),
    Setting("limit_address_requests", int, 6000, "what one address without account may ask in a minute"),
    Setting("limit_sign_in_failures", int, 100, "failed sign-ins of an address in 15 minutes"),
    Setting("limit_passcode_failures", int, 50, "wrong passcodes of an address at a meeting in 15 minutes"),
    Setting("limit_meeting_failures", int, 300, "wrong passcodes at a meeting, of all addresses, in 15 minutes"),
    Setting(
        "limit_arrivals", int, 1000, "newcomers of an address at a meeting in 15 minutes; its passkey and SSO sign-ins"
    ),
    Setting("limit_waiting", int, 1000, "people who wait in a lobby at once"),
    Setting("models_dir", Path, None, "where AI models are kept; unset: below data_dir"),
    Setting(
        "registration", str, "auto", "who may register: open, invite, domain, closed; auto: open on localhost only"
    ),
    Setting("registration_domains", list, (), "domains of mail addresses that may register, with registration=domain"),
    Setting("second_factor", str, "optional", "who must sign in with one: optional, admins or required"),
    Setting("oidc_issuer", str, None, "OpenID Connect provider that people may sign in at; unset: none"),
    Setting("oidc_name", str, "sso", "its name on the page and in the redirect URI, /api/v1/auth/oidc/NAME/callback"),
    Setting("oidc_client_id", str, None, "what the provider knows this server as"),
    Setting("oidc_client_secret", str, None, "what it shares with the provider", secret=True),
    Setting("oidc_groups_claim", str, "groups", "claim that lists a person's groups"),
    Setting("oidc_allowed_groups", list, (), "groups whose members may sign in; none: everybody there"),
    Setting("oidc_admin_group", str, None, "group whose members, and no others, administer this server"),
    Setting("keep_chat_days", int, None, "delete chat after so many days; unset: never"),
    Setting("keep_captions_days", int, None, "delete captions after so many days; unset: never"),
    Setting("keep_recordings_days", int, None, "delete recordings after so many days; unset: never"),
    Setting("keep_segments_hours", float, 24.0, "delete captured segments so long after a recording was finished"),
    Setting("keep_audit_days", int, None, "delete audit entries after so many days; unset: never"),
    Setting("smtp_host", str, None, "mail server; unset: mail becomes files below data_dir, in control/mail"),
    Setting("smtp_port", int, 587, "its port"),
    Setting("smtp_tls", str, "starttls", "starttls, implicit (port 465) or none"),
    Setting("smtp_sender", str, None, "address that mail comes from"),
    Setting("smtp_username", str, None, "account at the mail server"),
    Setting("smtp_password", str, None, "its password", secret=True),
    Setting("turn_urls", list, (), "TURN servers that browsers may use, for example turns:turn.example.org:443"),
    Setting("turn_secret", str, None, "shared with the TURN servers (coturn: static-auth-secret)", secret=True),
    Setting("inference_url", str, None, "where control reaches inference's API; unset: on this machine"),
    Setting("inference", bool, True, "whether to start inference (captions)"),
    Setting("languages", list, (), "languages that meetings here are held in (ISO 639-1), most likely first"),
    Setting("inference_threads", int, 1, "threads of speech recognition"),
    Setting("triton_urls", list, (), "Triton servers for speech recognition, each HOST:GRPC_PORT; none: on this CPU"),
    Setting("voice_detector_card", Path, None, "model card of a detector of synthetic voices on the first Triton"),
    Setting("face_detector_card", Path, None, "model card of a detector of synthetic faces on the first Triton"),
    Setting("summary_url", str, None, "base of an OpenAI-compatible API that sums up meetings; unset: nobody does"),
    Setting("summary_model", str, None, "the model to name there"),
    Setting("summary_key", str, None, "API key to it", secret=True),
    Setting("summary_private", bool, False, "whether that API may be in this network, and over plain HTTP"),
    Setting("log_level", str, "info", "what is logged: debug, info, warning or error", live=True),
    Setting("log_format", str, "text", "text, or json: one line per event"),
    Setting("otlp_url", str, None, "collector of traces, OTLP over HTTP (http://jaeger:4318); unset: no traces"),
    Setting("trace_ratio", float, 0.1, "share of requests that are traced"),
    Setting("node_secret", str, None, "shared by control and the other parts", secret=True),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_VARIABLES = frozenset(setting.variable for setting in SETTINGS)
LIVE = {setting.name: setting for setting in SETTINGS if setting.live}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value and where it came from: flag, environment, the TOML file's path, default or generated."""

    value: Any
    source: str


class Settings:
    """All settings, resolved. `settings["http_port"]` is a value; `rows()` is what `parley config` prints."""

    def __init__(self, resolved: dict[str, Resolved], file: Path | None = None) -> None:
        self._resolved = resolved
        self.file = file

    def __getitem__(self, name: str) -> Any:
        return self._resolved[name].value

    def source(self, name: str) -> str:
        return self._resolved[name].source

    @property
    def embedded(self) -> bool:
        """Whether every store is started by us, so that secrets may be generated."""
        return self["database_url"] is None and self["redis_url"] is None

    def rows(self) -> list[tuple[str, str, str]]:
        """(name, value, source) of every setting in order, secrets masked."""
        return [
            (s.name, "********" if s.secret and self[s.name] else _show(self[s.name]), self.source(s.name))
            for s in SETTINGS
        ]

    def environment(self, secrets: Collection[str]) -> dict[str, str]:
        """The settings as environment variables for a child process, with the `secrets` that are named."""
        passed = [s for s in SETTINGS if self[s.name] is not None and (not s.secret or s.name in secrets)]
        own = {s.variable: _show(self[s.name]) for s in passed}
        return own if self.file is None else own | {"PARLEY_CONFIG": str(self.file.absolute())}

    def replaced(self, **values: Any) -> "Settings":
        """These settings with some values replaced by what a part allocated or generated."""
        changed = {name: Resolved(value, "generated") for name, value in values.items()}
        return Settings(self._resolved | changed, self.file)

    def with_value(self, name: str, value: Any, source: str) -> "Settings":
        """These settings with one value from elsewhere."""
        return Settings(self._resolved | {name: Resolved(value, source)}, self.file)


def resolve(flags: Mapping[str, Any], environment: Mapping[str, str], toml_file: Path | None = None) -> Settings:
    """Resolve every setting; raises SettingsError naming what is wrong."""
    file_values = read_toml(toml_file)
    resolved = {s.name: _resolve_one(s, flags, environment, file_values, toml_file) for s in SETTINGS}
    derived: dict[str, Callable[[], Path]] = {
        "data_dir": lambda: default_data_directory(environment),
        "runtime_dir": lambda: _default_runtime_directory(environment, resolved["data_dir"].value),
        "recordings_dir": lambda: resolved["data_dir"].value / "recordings",
        "models_dir": lambda: resolved["data_dir"].value / "models",
    }
    for name, derive in derived.items():
        if resolved[name].value is None:
            resolved[name] = Resolved(derive(), "default")
        resolved[name] = Resolved(resolved[name].value.absolute(), resolved[name].source)
    return Settings(resolved, toml_file)


def with_secrets(settings: Settings) -> Settings:
    """Fill in missing secrets: generated once below data_dir while embedded, else SettingsError."""
    if settings["node_secret"]:
        return settings
    if not settings.embedded:
        raise SettingsError("node_secret is not set: with an external store secrets must come from the environment")
    path = settings["data_dir"] / "secrets" / "node_secret"
    try:
        value = path.read_text().strip()
    except FileNotFoundError:
        value = secrets.token_urlsafe(32)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, value)
    return settings.replaced(node_secret=value)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (0600), whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _default_runtime_directory(environment: Mapping[str, str], data: Path) -> Path:
    """A short directory, one per data directory: Unix socket paths hold 107 bytes only."""
    base = environment.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    tag = f"{os.getuid()}-{_path_tag(data):x}"
    return Path(base) / f"parley-{tag}"


def _path_tag(path: Path) -> int:
    """A small number that is the same for the same path in every process."""
    value = 0
    for byte in str(path.absolute()).encode():
        value = (value * 131 + byte) % (1 << 31)
    return value


def _resolve_one(
    setting: Setting,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file_values: Mapping[str, Any],
    toml_file: Path | None,
) -> Resolved:
    if flags.get(setting.name) not in (None, []):
        return Resolved(convert(setting, flags[setting.name]), "flag")
    if setting.variable in environment:
        return Resolved(convert(setting, environment[setting.variable]), f"environment {setting.variable}")
    file_variable = f"{setting.variable}_FILE"
    if file_variable in environment and file_variable not in _VARIABLES:  # PARLEY_NODES_FILE is a setting
        try:
            text = Path(environment[file_variable]).read_text().strip()
        except OSError as error:
            raise SettingsError(f"{file_variable}: {error}") from error
        return Resolved(convert(setting, text), f"environment {file_variable}")
    if setting.name in file_values:
        return Resolved(convert(setting, file_values[setting.name]), str(toml_file))
    return Resolved(convert(setting, setting.default), "default")


def convert(setting: Setting, value: Any) -> Any:
    """Return a value as the setting's type; raises SettingsError."""
    if value is None:
        return None
    try:
        converted = _converted(setting, value)
    except (TypeError, ValueError, AttributeError) as error:
        raise SettingsError(f"{setting.name}: {value!r} is not a valid {setting.kind.__name__}") from error
    try:
        _check_form(setting, converted)
    except ValueError as error:
        raise SettingsError(f"{setting.name}: {error}") from error
    return converted


def _converted(setting: Setting, value: Any) -> Any:
    if setting.kind is bool:
        return value if isinstance(value, bool) else _boolean(str(value))
    if setting.kind is list:
        items = value.split(",") if isinstance(value, str) else value
        return tuple(item.strip() for item in items if item.strip())
    return setting.kind(value)


def _check_form(setting: Setting, value: Any) -> None:
    """Raise ValueError for a value of the right type that cannot be used."""
    if setting.name.endswith("_port") and not -1 <= value <= 65535:
        raise ValueError("a port is a number up to 65535")
    form = FORMS.get(setting.name)
    if form is not None:
        for one in value if setting.kind is list else (value,) if value else ():
            form(one)


def _boolean(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def read_toml(path: Path | None) -> dict[str, Any]:
    """Return the values of a TOML file; raises SettingsError."""
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    unknown = sorted(set(values) - set(_BY_NAME))
    if unknown:
        raise SettingsError(f"{path}: unknown settings: {', '.join(unknown)}")
    return values


def _show(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)
