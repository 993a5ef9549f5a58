"""The watch for a participant's first packets."""

import time

import pytest
from prometheus_client import REGISTRY

from sfu.api.facts import ParticipantJoined
from sfu.server.attendance import Attendances
from tests.sfu.rooms.stage import MS, SECOND, Stage, audio, publish


def joins(outcome: str) -> float:
    return REGISTRY.get_sample_value("parley_sfu_joins_total", {"outcome": outcome}) or 0.0


def quiet_joins() -> float:
    return joins("quiet")


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


@pytest.mark.parametrize(("speaks", "outcome"), [(True, "no_media"), (False, "quiet")])
def test_who_gets_nothing_is_warned_of_only_if_somebody_sends(
    speaks: bool, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage()
    stage.now = time.monotonic_ns()
    ann, _ = stage.join("ann"), stage.join("bob")
    sender = publish(stage, ann)
    sender.send(audio(1))
    stage.run(100 * MS)
    attendances = Attendances(stage.node)
    before = joins(outcome)
    attendances.take([ParticipantJoined(room="r", at=1, participant="bob", name="Bob")])
    stage.run(26 * SECOND, 500 * MS)
    if speaks:
        sender.send(audio(2))
        stage.run(100 * MS)
    attendances.look(stage.now / 1e9)
    assert joins(outcome) == before + 1
    assert ("neither UDP nor TCP" in caplog.text) == speaks
