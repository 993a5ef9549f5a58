"""Settings that can change while a part runs, from etcd and from the TOML file; no others do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from foundation.etcd import Etcd, EtcdConfig
from foundation.hot_settings import LIVE_SETTINGS_PREFIX, LiveSettings, overridden
from foundation.settings import LIVE, Settings, SettingsError, resolve
from tests.support.etcd import running_etcd
from tests.support.waiting import eventually


class Applied:
    """The values applied last, by setting."""

    def __init__(self, settings: Settings) -> None:
        self.values: dict[str, Any] = {}
        self.live = LiveSettings(settings, {name: self._take(name) for name in LIVE})

    def _take(self, name: str) -> Callable[[Any], None]:
        def take(value: Any) -> None:
            self.values[name] = value

        return take

    async def until(self, name: str, value: Any) -> None:
        await eventually(lambda: self.values.get(name) == value)


@contextlib.asynccontextmanager
async def following(applied: Applied) -> AsyncIterator[None]:
    task = asyncio.create_task(applied.live.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_etcd_changes_what_is_declared_live_and_a_deleted_value_is_undone() -> None:
    with running_etcd() as running:
        settings = resolve({"etcd_urls": [running.url], "max_participants": "50"}, {"HOME": "/nowhere"})
        applied = Applied(settings)
        etcd = Etcd(EtcdConfig(urls=(running.url,)))
        key = f"{LIVE_SETTINGS_PREFIX}max_participants"
        await etcd.put(f"{LIVE_SETTINGS_PREFIX}log_level", b"debug")
        async with following(applied):
            await applied.until("log_level", "debug")
            await etcd.put(f"{LIVE_SETTINGS_PREFIX}http_port", b"1")
            await etcd.put(key, b"many")
            await etcd.put(key, b"7")
            await applied.until("max_participants", 7)
            assert set(applied.values) == {"log_level", "max_participants"}
            rows = {
                name: (value, source) for name, value, source in (await asyncio.to_thread(overridden, settings)).rows()
            }
            assert rows["max_participants"] == ("7", f"etcd {key}")
            assert rows["http_port"] == ("8800", "default")
            await etcd.delete(key)
            await applied.until("max_participants", 50)
        await etcd.close()


async def test_without_etcd_the_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "parley.toml"
    file.write_text("max_participants = 50\n")
    applied = Applied(resolve({}, {"HOME": "/nowhere"}, file))
    async with following(applied):
        await asyncio.sleep(0.1)  # the file is read before it changes
        file.write_text('max_participants = 9\nlog_level = "debug"\n')
        await applied.until("max_participants", 9)
        await applied.until("log_level", "debug")
        file.write_text("max_participants = \n")
        await eventually(lambda: "live settings are unchanged" in caplog.text)
        assert applied.values["max_participants"] == 9
        file.write_text("")
        await applied.until("log_level", "info")


def test_children_are_told_the_file(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text("")
    assert resolve({}, {"HOME": "/nowhere"}, file).replaced(workers=2).environment(())["PARLEY_CONFIG"] == str(file)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(SettingsError, match="log_level"):
        resolve({"log_level": "loud"}, {"HOME": "/nowhere"})


def test_what_the_operator_gave_goes_before_what_administrators_set(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text("quota_bytes = 1\n")
    settings = resolve({}, {"HOME": "/nowhere", "PARLEY_MAX_PARTICIPANTS": "50"}, file)
    live = Applied(settings).live
    live.take_stored({"quota_bytes": 2, "max_participants": 3, "limit_waiting": 4, "log_level": "loud"})
    found = {name: live.current[name] for name in ("quota_bytes", "max_participants", "limit_waiting", "log_level")}
    assert found == {"quota_bytes": 1, "max_participants": 50, "limit_waiting": 4, "log_level": "info"}
    assert [name for name in found if live.is_locked(name)] == ["quota_bytes", "max_participants"]
    passed = settings.environment(())
    assert passed["PARLEY_MAX_PARTICIPANTS"] == "50"
    assert "PARLEY_LIMIT_WAITING" not in passed, "a child would take it for the operator's"
    assert "PARLEY_QUOTA_BYTES" not in passed, "a child reads the file, and follows it"
