"""Bar: a viewer that was killed and returns, or whose address changed, sees moving pictures again within 2 s."""

from pathlib import Path

import pytest

from tests.network.behind_link import once
from tests.network.test_coming_back import seconds_after_killing, seconds_after_moving

SECONDS = 2


@once
@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_after_a_change_of_address(tmp_path: Path, kind: str) -> None:
    taken = await seconds_after_moving(tmp_path, kind)
    print(f"{kind}: moving {taken:.2f} s after the address changed")
    assert taken <= SECONDS


@once
@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_after_being_killed(tmp_path: Path, kind: str) -> None:
    taken = await seconds_after_killing(tmp_path, kind)
    print(f"{kind}: moving {taken:.2f} s after joining again")
    assert taken <= SECONDS
