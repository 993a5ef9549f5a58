"""Requests for an incoming stream after a loss of our own: a keyframe, when allowed, and no repairs."""

from sfu.engine.contract import Arrival, ArrivalFlag
from sfu.formats.codecs import Codec
from sfu.formats.rtcp import Nack, PictureLoss
from sfu.machines.repair.repair_budget import RepairBudget
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.peers.publish.ingress_stream import IngressStream

MS = 1_000_000


def come(stream: IngressStream, ext_seq: int, at: int, flags: int = 0) -> bool:
    """Let a packet come, as the engine counts and tells it."""
    progress = stream.progress
    assert isinstance(progress, StreamProgress)
    gap = max(0, ext_seq - progress.highest - 1) if progress.packets else 0
    progress.take(ext_seq, at, ext_seq * 3000, 1000, ours=gap if flags & ArrivalFlag.OVERFLOWED else 0)
    return stream.arrived(Arrival(1, 1, ext_seq, gap, at, ext_seq * 3000, 1000, ArrivalFlag(flags)))


def streams(count: int, *, layers: int = 1) -> list[IngressStream]:
    """Return the streams of `count` tracks with `layers` layers each."""
    budget = RepairBudget()
    made: list[IngressStream] = []
    for _ in range(count):
        track: list[IngressStream] = []
        for _ in range(layers):
            number = len(made)
            track.append(IngressStream(number, number, Codec.VP8, 90_000, budget=budget, layers=track))
            made.append(track[-1])
    for stream in made:
        for ext_seq in range(5):
            come(stream, ext_seq, ext_seq * MS)
    return made


def test_a_keyframe_is_asked_for_and_no_repair() -> None:
    (stream,) = streams(1)
    assert come(stream, 10, 10 * MS, ArrivalFlag.OVERFLOWED)
    assert stream.timer() == 10 * MS
    (said,) = stream.feedback(1, 10 * MS)
    assert isinstance(said, PictureLoss)
    block = stream.report_block(11 * MS)
    assert block is not None and (block.fraction_lost, block.packets_lost) == (0, 0)


def test_an_overflow_that_cost_the_stream_nothing_asks_for_nothing() -> None:
    (stream,) = streams(1)
    assert not come(stream, 5, 10 * MS, ArrivalFlag.OVERFLOWED)
    assert stream.timer() is None


def test_what_was_left_unread_on_purpose_needs_no_keyframe_of_its_own() -> None:
    """Layers of all rooms are read again at once: keyframes of all would be the next overload."""
    (stream,) = streams(1)
    stream.read_again()
    assert come(stream, 100, 10 * MS, ArrivalFlag.OVERFLOWED)
    assert stream.timer() is None and stream.feedback(1, 10 * MS) == []
    assert come(stream, 110, 20 * MS, ArrivalFlag.OVERFLOWED)
    (said,) = stream.feedback(1, 20 * MS)
    assert isinstance(said, PictureLoss)


def test_a_loss_of_the_link_is_asked_for_as_before() -> None:
    (stream,) = streams(1)
    assert come(stream, 7, 10 * MS)
    (said,) = stream.feedback(1, 10 * MS)
    assert isinstance(said, Nack) and said.seqs == (5, 6)


def test_keyframes_of_hundreds_of_streams_come_one_after_another_and_all_of_them_come() -> None:
    all_of_them = streams(300)
    for stream in all_of_them:
        come(stream, 10, 10 * MS, ArrivalFlag.OVERFLOWED)
    asked: list[int] = []
    for now in range(10 * MS, 4000 * MS, 20 * MS):
        said = 0
        for stream in all_of_them:
            at = stream.timer()
            if at is not None and at <= now:
                said += sum(isinstance(packet, PictureLoss) for packet in stream.feedback(1, now))
        asked.append(said)
        for stream in all_of_them:
            if said and stream.plis_sent and stream.timer() is not None:
                come(stream, 11 + len(asked), now, ArrivalFlag.KEYFRAME)
    assert asked[0] <= 64
    assert sum(asked[:50]) <= 64 + 100
    assert all(stream.plis_sent for stream in all_of_them)


def test_a_tracks_layers_share_a_keyframe() -> None:
    """Encoders make one of all layers at once, so it is allowed once."""
    layers = streams(30, layers=3)
    for stream in layers:
        come(stream, 10, 10 * MS, ArrivalFlag.OVERFLOWED)
    asked = sum(isinstance(packet, PictureLoss) for stream in layers for packet in stream.feedback(1, 10 * MS))
    assert asked == 90
