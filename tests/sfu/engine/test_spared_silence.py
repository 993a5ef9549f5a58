"""Silent microphones rest while a node is overloaded: nothing is missing, and whoever speaks is heard at once."""

from sfu.engine.contract import Drop, Engine, RouteSource, StreamEntry
from tests.sfu.engine.table import AUDIO, MILLISECOND, Publisher, Subscriber, one_to_one, opus

LEVEL = 4


def heard(engine: Engine, publisher: Publisher, subscriber: Subscriber, seqs: range, level: int | None) -> list[int]:
    """Return the seqs that reach the subscriber when a microphone sends at an audio level."""
    reached = []
    for seq in seqs:
        at = 1000 * MILLISECOND + seq * 20 * MILLISECOND
        extensions = () if level is None else ((LEVEL, bytes([0x80 | level])),)
        packet = publisher.protect(opus(seq, seq * 960, extensions=extensions), at)
        reached += [packet.seq for packet in subscriber.received(engine.process([packet], at))]
    return reached


def test_silence_is_left_out_and_speech_continues_the_numbering(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    engine.spare_silence(True)
    assert len(heard(engine, publisher, subscriber, range(1, 101), 20)) == 100
    fading = heard(engine, publisher, subscriber, range(101, 401), 100)
    assert 150 <= len(fading) < 200  # 3 s after the last word
    assert engine.drops[Drop.SILENT] == 300 - len(fading)
    spoken = heard(engine, publisher, subscriber, range(401, 421), 20)
    assert len(spoken) >= 15
    assert spoken == list(range(spoken[0], spoken[0] + len(spoken)))
    assert spoken[0] == fading[-1] + 1
    engine.spare_silence(False)
    assert len(heard(engine, publisher, subscriber, range(421, 821), 100)) == 400


def test_who_tells_no_levels_is_not_silent(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    engine.spare_silence(True)
    assert len(heard(engine, publisher, subscriber, range(1, 301), None)) == 300
