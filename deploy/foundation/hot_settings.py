"""Live settings, which can change while a part runs: from etcd if it is configured, otherwise from the file.

In etcd a value is text under `/parley/settings/NAME`. It overrides flag, environment and file, because an operator who
sets it there wants it to apply immediately and everywhere. When it is deleted, there or from the file, the initial
value applies again. A value that does not parse changes nothing.
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
from foundation.settings import LIVE, Settings, SettingsError, convert, read_toml

_log = logging.getLogger(__name__)
LIVE_SETTINGS_PREFIX = "/parley/settings/"  # of their keys in etcd
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 2.0

Appliers = Mapping[str, Callable[[Any], None]]
"""By setting: the function that applies a new value."""


class LiveSettings:
    """Keeps `appliers` up to date from one source."""

    def __init__(self, settings: Settings, appliers: Appliers) -> None:
        self._settings = settings
        self._appliers = appliers
        self._values = {name: settings[name] for name in appliers}

    async def follow(self) -> None:
        """Follow etcd or the file until cancelled; return at once if there is neither."""
        etcd = etcd_config(self._settings)
        if etcd is not None:
            await self._follow_etcd(Etcd(etcd))
        elif self._settings.file is not None:
            await self._follow_file(self._settings.file)

    async def _follow_etcd(self, etcd: Etcd) -> None:
        outage = EtcdOutage("live settings are unchanged", _log, _RETRY_SECONDS)
        try:
            while True:
                try:
                    found = await etcd.under(LIVE_SETTINGS_PREFIX)
                    outage.end()
                    named = {key.removeprefix(LIVE_SETTINGS_PREFIX): value for key, value in found.values.items()}
                    self._take_all(named)
                    async for change in etcd.watch(LIVE_SETTINGS_PREFIX, found.revision):
                        self._take(change.key.removeprefix(LIVE_SETTINGS_PREFIX), _text(change.value), "etcd")
                except EtcdUnavailable as error:
                    await asyncio.sleep(outage.failed(error))
        finally:
            await etcd.close()

    def _take_all(self, found: Mapping[str, bytes]) -> None:
        for name in self._appliers:
            self._take(name, _text(found.get(name)), "etcd")

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
            for name in self._appliers:
                self._take(name, values.get(name), str(path))

    def _take(self, name: str, value: Any, source: str) -> None:
        """Apply a value; None restores the initial one."""
        apply = self._appliers.get(name)
        if apply is None:
            return
        try:
            wanted = self._settings[name] if value is None else convert(LIVE[name], value)
            if wanted != self._values[name]:
                apply(wanted)
                self._values[name] = wanted
                _log.warning(
                    "%s changed to %s (from %s)", name, wanted, source if value is not None else "the initial value"
                )
        except ValueError as error:
            _log.warning("%s is unchanged: %s", name, describe(error))


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
