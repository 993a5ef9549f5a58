"""Settings: their values, and the source of each value.

Precedence: command-line flag, environment (`PARLEY_NAME`, or `PARLEY_NAME_FILE` for a file that holds the value), TOML
file, default. Secrets have no default: they are generated once (0600) while every store is embedded; with an external
store a missing secret stops the start.
"""

import base64
import os
import secrets
import tempfile
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation import private_file
from foundation.pictures import MAX_URL, Picture
from foundation.setting_forms import CHOICES, FORMS, MINIMA
from foundation.setting_groups import REMOVED, SETTINGS, Setting, variable_of

_JSON_NAMES = {int: "a whole number", float: "a number", bool: "true or false", list: "a list of texts"}
_MAX_TEXT = 1000
_MAX_ITEMS = 50
_MAX_NUMBER = 2**53  # larger ones are not exact in JSON


class SettingsError(ValueError):
    """A setting is missing or does not parse; the message names it."""


def default_data_directory(environment: Mapping[str, str]) -> Path:
    """Return `parley` in XDG's data directory (Base Directory Specification)."""
    base = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME", "/")) / ".local" / "share")
    return Path(base) / "parley"


_NAMES = frozenset(name for setting in SETTINGS for name in (setting.name, setting.old_name) if name)
_VARIABLES = frozenset(map(variable_of, _NAMES))
LIVE = {setting.name: setting for setting in SETTINGS if setting.live}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value and its source: flag, environment, the TOML file's path, default or generated."""

    value: Any
    source: str
    by_old_name: bool = False


class Settings:
    """All settings, resolved. `settings["http_port"]` is a value; `rows()` is what `parley config` prints."""

    def __init__(self, resolved: dict[str, Resolved], file: Path | None = None, removed: Sequence[str] = ()) -> None:
        self._resolved = resolved
        self.file = file
        self.removed = removed
        """Return the settings that were given although they have no effect any more."""

    def __getitem__(self, name: str) -> Any:
        return self._resolved[name].value

    def source(self, name: str) -> str:
        return self._resolved[name].source

    @property
    def embedded(self) -> bool:
        """True if every store is embedded, so secrets can be generated."""
        return self["database_url"] is None and self["redis_url"] is None

    def renamed(self) -> dict[str, str]:
        """Return the new name of each setting that was given under its old name."""
        return {s.old_name: s.name for s in SETTINGS if s.old_name and self._resolved[s.name].by_old_name}

    def rows(self) -> list[tuple[str, str, str]]:
        """(name, value, source) of every setting in order, secrets masked."""
        return [
            (s.name, "********" if s.secret and self[s.name] else show(self[s.name]), self.source(s.name))
            for s in SETTINGS
        ]

    def environment(self, secrets: Collection[str]) -> dict[str, str]:
        """Return the settings as environment variables for a child process, with the `secrets` listed."""
        passed = [s for s in SETTINGS if self[s.name] is not None and (not s.secret or s.name in secrets)]
        own = {s.variable: show(self[s.name]) for s in passed if not (s.live and self._follows(s.name))}
        return own if self.file is None else own | {"PARLEY_CONFIG": str(self.file.absolute())}

    def _follows(self, name: str) -> bool:
        """Return whether a child finds the value by itself: a variable would keep it from following changes."""
        return self.source(name) in {"default", str(self.file)}

    def replaced(self, **values: Any) -> "Settings":
        """Return these settings with some values replaced with those that a part allocated or generated."""
        assert values.keys() <= self._resolved.keys(), "not settings"
        changed = {name: Resolved(value, "generated") for name, value in values.items()}
        return Settings(self._resolved | changed, self.file, self.removed)

    def with_value(self, name: str, value: Any, source: str) -> "Settings":
        """Return these settings with one value from elsewhere."""
        return Settings(self._resolved | {name: Resolved(value, source)}, self.file, self.removed)


def resolve(flags: Mapping[str, Any], environment: Mapping[str, str], toml_file: Path | None = None) -> Settings:
    """Resolve every setting; raises SettingsError that names the problem."""
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
    given = {*flags, *(name for name in REMOVED if variable_of(name) in environment), *file_values}
    return Settings(resolved, toml_file, [name for name in REMOVED if name in given])


def with_secrets(settings: Settings) -> Settings:
    """Fill in missing secrets: generated once below data_dir while embedded, else SettingsError."""
    wanted: dict[str, Callable[[], str]] = {"node_secret": lambda: secrets.token_urlsafe(32)}
    if settings["encrypt_recordings"] or generated(settings, "recordings_keys").exists():
        wanted["recordings_keys"] = lambda: base64.b64encode(secrets.token_bytes(32)).decode()
    for name, new in wanted.items():
        if settings[name]:
            continue
        if not settings.embedded:
            raise SettingsError(f"{name} is not set: with an external store secrets must come from the environment")
        path = generated(settings, name)
        try:
            value = path.read_text().strip()
        except FileNotFoundError:
            value = new()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            private_file.replace(path, value.encode())
        settings = settings.replaced(**{name: value})
    return settings


def generated(settings: Settings, name: str) -> Path:
    """Return the file of a generated secret."""
    path: Path = settings["data_dir"] / "secrets" / name
    return path


def _default_runtime_directory(environment: Mapping[str, str], data: Path) -> Path:
    """Return a short path, one per data directory: paths of Unix sockets have at most 107 bytes."""
    base = environment.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    tag = f"{os.getuid()}-{_path_tag(data):x}"
    return Path(base) / f"parley-{tag}"


def _path_tag(path: Path) -> int:
    """Return a small number that depends only on the path."""
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
    names = (setting.name, setting.old_name) if setting.old_name else (setting.name,)
    for name in names:
        if flags.get(name) not in (None, []):
            return _found(setting, flags[name], "flag", name)
    for name in names:
        given = _from_environment(variable_of(name), environment)
        if given is not None:
            return _found(setting, *given, name)
    for name in names:
        if name in file_values:
            return _found(setting, file_values[name], str(toml_file), name)
    return _found(setting, setting.default, "default", setting.name)


def _found(setting: Setting, value: Any, source: str, name: str) -> Resolved:
    return Resolved(convert(setting, value), source, by_old_name=name != setting.name)


def _from_environment(variable: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the value of a variable, or of the file that it names, and the source; raises SettingsError."""
    if variable in environment:
        return environment[variable], f"environment {variable}"
    file_variable = f"{variable}_FILE"
    if file_variable not in environment or file_variable in _VARIABLES:  # PARLEY_SFU_NODES_FILE is a setting
        return None
    try:
        return Path(environment[file_variable]).read_text().strip(), f"environment {file_variable}"
    except OSError as error:
        raise SettingsError(f"{file_variable}: {error}") from error


def convert(setting: Setting, value: Any) -> Any:
    """Return a value converted to the setting's type; raises SettingsError."""
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


def from_json(setting: Setting, value: Any) -> Any:
    """Return a value of a JSON document, checked and converted; raises SettingsError."""
    kinds = {int: (int,), float: (int, float), bool: (bool,), list: (list,)}.get(setting.kind, (str,))
    if not isinstance(value, kinds) or (isinstance(value, bool) and setting.kind is not bool):
        raise SettingsError(f"{setting.name}: {value!r} is not {_JSON_NAMES.get(setting.kind, 'a text')}")
    texts = value if isinstance(value, list) else [value]
    longest = MAX_URL if setting.kind is Picture else _MAX_TEXT
    if len(texts) > _MAX_ITEMS or any(isinstance(one, str) and len(one) > longest for one in texts):
        raise SettingsError(f"{setting.name}: the value is too long")
    if isinstance(value, str) and not value.strip():
        raise SettingsError(f"{setting.name}: the value is empty; null restores the default")
    if setting.kind is Picture and not Picture(value).is_inline:
        raise SettingsError(f"{setting.name}: a data: URL is needed; the server's own files are not for the page")
    if isinstance(value, (int, float)) and abs(value) > _MAX_NUMBER:
        raise SettingsError(f"{setting.name}: the number is too large")
    return convert(setting, value.strip() if isinstance(value, str) else value)


def _converted(setting: Setting, value: Any) -> Any:
    if setting.kind is bool:
        return value if isinstance(value, bool) else _boolean(str(value))
    if setting.kind is list:
        items = value.split(",") if isinstance(value, str) else value
        return tuple(item.strip() for item in items if item.strip())
    return setting.kind(value)


def _check_form(setting: Setting, value: Any) -> None:
    """Raise ValueError for a value that has the right type but cannot be used."""
    if setting.name.endswith("_port") and not -1 <= value <= 65535:
        raise ValueError("a port is a number from -1 to 65535")
    if value not in CHOICES.get(setting.name, (value,)):
        raise ValueError(f"not one of {', '.join(CHOICES[setting.name])}")
    if setting.name in MINIMA and value < MINIMA[setting.name]:
        raise ValueError(f"at least {MINIMA[setting.name]} is needed")
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
    unknown = sorted(set(values) - _NAMES - REMOVED.keys())
    if unknown:
        raise SettingsError(f"{path}: unknown settings: {', '.join(unknown)}")
    return values


def show(value: Any) -> str:
    """Return a value as text that `convert` accepts, but for pictures in a data: URL; "" for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return value.shown() if isinstance(value, Picture) else str(value)
