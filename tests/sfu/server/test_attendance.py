"""The watch for a participant's first packets."""

import time

from prometheus_client import REGISTRY

from sfu.api.facts import ParticipantJoined
from sfu.server.attendance import Attendances
from tests.sfu.rooms.stage import Stage


def quiet_joins() -> float:
    return REGISTRY.get_sample_value("parley_sfu_joins_total", {"outcome": "quiet"}) or 0.0


async def test_somebody_quiet_is_looked_at_ever_less_often() -> None:
    stage = Stage()
    stage.join("ann")
    attendances = Attendances(stage.node)
    before, now = quiet_joins(), time.monotonic()
    attendances.take([ParticipantJoined(room="r", at=1, participant="ann", name="Ann")])
    looks = [attendances.look(now + 0.05 * step) for step in range(1, 680)]
    assert sum(looks[:19]) == 19  # each time in the first second
    assert 30 < sum(looks) < 120  # not each of the 600 times in half a minute
    assert quiet_joins() == before + 1
    assert looks[-1] == 0
