"""The load of a room, in simulated time."""

from sfu.rooms.room_load import load_of
from tests.sfu.rooms.stage import MS, Stage, audio, publish, subscribe


def test_what_comes_and_what_goes_to_each_listener_is_counted() -> None:
    stage = Stage()
    ann, bob, cyd = (stage.join(name) for name in ("ann", "bob", "cyd"))
    sender = publish(stage, ann)
    quiet = load_of(ann.membership.room, stage.now)
    assert (quiet.room, quiet.participants, quiet.kbps_in, quiet.kbps_out) == (ann.membership.room.room, 3, 0, 0)
    for listener in (bob, cyd):
        subscribe(stage, listener)
    for seq in range(100):
        sender.send(audio(seq))
        stage.run(20 * MS)
    loud = load_of(ann.membership.room, stage.now)
    assert 0 < loud.kbps_in < 100
    assert abs(loud.kbps_out - 2 * loud.kbps_in) <= 1  # both are rounded
    assert loud.weight > quiet.weight
