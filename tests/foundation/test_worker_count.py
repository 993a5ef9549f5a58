"""The number of processes for "auto"."""

import os
from pathlib import Path

import pytest

from foundation.settings import SettingsError, resolve
from foundation.worker_count import WorkerCount, usable_cores

HOME = {"HOME": "/nowhere"}


def test_auto_is_a_process_for_each_core_that_this_one_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert WorkerCount("auto") == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= resolve({"workers": "auto"}, HOME)["workers"] <= len(before)


def test_a_number_is_that_number_and_a_child_gets_it_as_one() -> None:
    settings = resolve({}, HOME | {"PARLEY_WORKERS": "3"})
    assert settings["workers"] == 3
    assert settings.environment(())["PARLEY_WORKERS"] == "3"


def test_anything_else_is_refused() -> None:
    with pytest.raises(SettingsError, match="workers"):
        resolve({"workers": "many"}, HOME)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", None), ("150000 100000", 1), ("50000 100000", 1), ("99900000 100000", None), ("", None)],
)
def test_a_control_group_allows_no_more_than_it_pays_for(tmp_path: Path, quota: str, cores: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == (cores or len(os.sched_getaffinity(0)))


def test_without_a_control_group_the_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "missing") == len(os.sched_getaffinity(0))
