"""The current configuration of this process: that of its start, with the live settings that changed since.

Administrators change them by `/api/v1/admin/settings`. They are stored in the database, where other control processes
look every two seconds. The sfu, the recorder, inference and ingress ask control for them every five seconds.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from control.config import ControlConfig
from control.database import Pool
from control.store import live_settings
from foundation.hot_settings import LiveSettings
from foundation.settings import Settings, resolve

LOOK_SECONDS = 2.0

Fields = Callable[[Settings], Mapping[str, Any]]
"""A function that returns the fields of ControlConfig that depend on live settings; raises SettingsError."""


def _no_fields(_: Settings) -> Mapping[str, Any]:
    return {}


class RuntimeSettings:
    """Holder of the current configuration. Without `live`, nothing changes it."""

    def __init__(self, config: ControlConfig, live: LiveSettings | None = None, fields: Fields = _no_fields) -> None:
        self.live = live or LiveSettings(resolve({}, {}), {})
        self.config = config
        self._first_config = config
        self._fields = fields
        self._first = fields(self.live.current)
        self.live.apply_all = self._apply

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise SettingsError if these values cannot be stored; None is the default."""
        self._fields(self.live.preview(values))

    async def look(self, pool: Pool) -> None:
        """Read the stored values and apply what changed."""
        async with pool.acquire() as connection:
            self.live.take_stored(await live_settings.values(connection))

    def _apply(self, settings: Settings) -> None:
        changed = {name: value for name, value in self._fields(settings).items() if value != self._first[name]}
        self.config = dataclasses.replace(self._first_config, **changed)
