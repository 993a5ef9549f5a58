"""Live settings, which can change while the parts run.

Precedence: etcd, flag, environment, file, what an administrator set on the page (stored by control), default. In etcd
a value is text under `/parley/settings/NAME`. It overrides the others, because an operator who sets it there wants it
to apply immediately and everywhere. Without etcd, the file is read again when it changes. A value that is deleted
makes room for the next source; a value that does not parse changes nothing.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foundation.etcd import Etcd, EtcdConfig, EtcdUnavailable
from foundation.etcd_outage import EtcdOutage
from foundation.failures import describe
from foundation.settings import LIVE, Settings, SettingsError, convert, read_toml, show

_log = logging.getLogger(__name__)
LIVE_SETTINGS_PREFIX = "/parley/settings/"  # of their keys in etcd
STORED = "admin page"  # source of values that an administrator set
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 2.0

Appliers = Mapping[str, Callable[[Any], None]]
"""By setting: the function that applies a new value; it raises ValueError if it cannot."""
Check = Callable[[Settings], None]
"""A function that applies all settings; it raises ValueError if they do not fit together."""


class LiveSettings:
    """The current settings of a part. Changes are passed to `appliers`, and then to `apply_all`."""

    def __init__(self, settings: Settings, appliers: Appliers, apply_all: Check | None = None) -> None:
        self._initial = settings
        self._appliers = dict(appliers)
        self.apply_all = apply_all
        self.current = settings
        # The file can change, so its values are not initial ones.
        self._file = "" if settings.file is None else str(settings.file)
        self._outer: dict[str, tuple[Any, str]] = {
            name: (settings[name], self._file) for name in LIVE if settings.source(name) == self._file
        }
        self._stored: Mapping[str, Any] = {}

    def on(self, name: str, apply: Callable[[Any], None]) -> None:
        """Add an applier."""
        self._appliers[name] = apply

    async def follow(self) -> None:
        """Follow etcd or the file until cancelled; return at once if there is neither."""
        etcd = etcd_config(self._initial)
        if etcd is not None:
            await self._follow_etcd(Etcd(etcd))
        elif self._initial.file is not None:
            await self._follow_file(self._initial.file)

    def take_stored(self, values: Mapping[str, Any]) -> None:
        """Take the values that administrators set; those missing are unset."""
        self._stored = values
        for name in LIVE:
            self._settle(name)

    def is_locked(self, name: str) -> bool:
        """Return whether a value from elsewhere takes precedence over those that administrators set."""
        return self.current.source(name) not in {"default", STORED}

    def preview(self, values: Mapping[str, Any]) -> Settings:
        """Return the current settings with other values stored, None for default ones; raises SettingsError."""
        changed = self.current
        for name, value in values.items():
            changed = changed.with_value(name, *self._stored_or_default(name, value))
        return changed

    async def _follow_etcd(self, etcd: Etcd) -> None:
        outage = EtcdOutage("live settings are unchanged", _log, _RETRY_SECONDS)
        try:
            while True:
                try:
                    found = await etcd.under(LIVE_SETTINGS_PREFIX)
                    outage.end()
                    named = {key.removeprefix(LIVE_SETTINGS_PREFIX): value for key, value in found.values.items()}
                    for name in LIVE:
                        self._take(name, _text(named.get(name)), f"etcd {LIVE_SETTINGS_PREFIX}{name}")
                    async for change in etcd.watch(LIVE_SETTINGS_PREFIX, found.revision):
                        name = change.key.removeprefix(LIVE_SETTINGS_PREFIX)
                        if name in LIVE:
                            self._take(name, _text(change.value), f"etcd {change.key}")
                except EtcdUnavailable as error:
                    await asyncio.sleep(outage.failed(error))
        finally:
            await etcd.close()

    async def _follow_file(self, path: Path) -> None:
        modified = _modified(path)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = await asyncio.to_thread(_modified, path)
            if now == modified:
                continue
            modified = now
            try:
                values = await asyncio.to_thread(read_toml, path)
            except SettingsError as error:
                _log.warning("live settings are unchanged: %s", describe(error))
                continue
            for name in LIVE:
                self._take(name, values.get(name), self._file)

    def _take(self, name: str, value: Any, source: str) -> None:
        """Take a value from etcd or the file; None if it is not set there."""
        try:
            found = None if value is None else (convert(LIVE[name], value), source)
        except SettingsError as error:
            _log.warning("%s is unchanged: %s", name, describe(error))
            return
        if found is None:
            self._outer.pop(name, None)
        else:
            self._outer[name] = found
        self._settle(name)

    def _settle(self, name: str) -> None:
        """Apply the value of the first source that has one."""
        try:
            value, source = self._wanted(name)
            if (value, source) == (self.current[name], self.current.source(name)):
                return
            changed = self.current.with_value(name, value, source)
            if value != self.current[name] and (name in self._appliers or self.apply_all is not None):
                if name in self._appliers:
                    self._appliers[name](value)
                if self.apply_all is not None:
                    self.apply_all(changed)
                _log.warning("%s changed to %s (from %s)", name, show(value), source)
            self.current = changed
        except ValueError as error:
            _log.warning("%s is unchanged: %s", name, describe(error))

    def _wanted(self, name: str) -> tuple[Any, str]:
        outer, initial = self._outer.get(name), self._initial.source(name)
        given = initial not in {"default", self._file}
        if outer is not None and (outer[1] != self._file or not given):
            return outer
        if given:
            return self._initial[name], initial
        return self._stored_or_default(name, self._stored.get(name))

    def _stored_or_default(self, name: str, value: Any) -> tuple[Any, str]:
        setting = LIVE[name]
        if value is None:
            return convert(setting, setting.default), "default"
        return convert(setting, value), STORED


def etcd_config(settings: Settings) -> EtcdConfig | None:
    """Return the location of etcd, None if it is not used; raises SettingsError."""
    if not settings["etcd_urls"]:
        return None
    if settings["etcd_ca"] is not None:
        try:
            ssl.create_default_context(cafile=str(settings["etcd_ca"]))
        except OSError as error:
            raise SettingsError(f"etcd_ca: {settings['etcd_ca']}: {error.strerror or error}") from error
    return EtcdConfig(
        urls=settings["etcd_urls"],
        username=settings["etcd_username"] or "",
        password=settings["etcd_password"] or "",
        ca_file=settings["etcd_ca"],
    )


def overridden(settings: Settings) -> Settings:
    """Return the settings with the live values from etcd; raises EtcdUnavailable."""
    config = etcd_config(settings)
    if config is None:
        return settings
    for key, value in asyncio.run(_held(config)).items():
        name = key.removeprefix(LIVE_SETTINGS_PREFIX)
        if name in LIVE:
            settings = settings.with_value(name, convert(LIVE[name], _text(value)), f"etcd {key}")
    return settings


async def _held(config: EtcdConfig) -> dict[str, bytes]:
    etcd = Etcd(config)
    try:
        return (await etcd.under(LIVE_SETTINGS_PREFIX)).values
    finally:
        await etcd.close()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
