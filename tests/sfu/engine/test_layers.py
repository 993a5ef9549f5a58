"""Temporal and spatial layers that a route leaves out."""

from sfu.engine.contract import Drop, Engine, RouteSource, StreamEntry
from tests.sfu.engine.table import VIDEO_VP9, Publisher, Subscriber, one_to_one, rtx, vp8, vp8_picture, vp9


def test_vp8_temporal_layers_close_up(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.switch_route(1, RouteSource(1, max_temporal=0))
    batch = []
    for frame in range(8):
        for part in (0, 1):
            packet = vp8(
                100 + 2 * frame + part,
                frame * 3000,
                picture=200 + frame,
                tl0=frame // 2,
                temporal=frame % 2,
                key=frame == 0,
                start=part == 0,
                marker=part == 1,
            )
            batch.append(publisher.protect(packet))
    received = subscriber.received(engine.process(batch, 0))
    assert [packet.seq for packet in received] == list(range(500, 508))
    assert [packet.timestamp for packet in received] == [t for frame in (0, 2, 4, 6) for t in [frame * 3000] * 2]
    assert [vp8_picture(packet) for packet in received] == [(200 + k, k) for k in range(4) for _ in (0, 1)]
    assert engine.drops[Drop.FILTERED] == 8


def test_a_gap_within_a_filtered_frame_closes_up_too(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.switch_route(1, RouteSource(1, max_temporal=0))
    batch = [
        vp8(100, 0, key=True),
        vp8(101, 3000, temporal=1, picture=2),
        # 102 is missing, surely of the same frame
        vp8(103, 3000, temporal=1, picture=2, start=False),
        vp8(104, 6000, picture=3),
    ]
    received = subscriber.received(engine.process([publisher.protect(packet) for packet in batch], 0))
    assert [packet.seq for packet in received] == [500, 501]
    late = rtx(vp8(102, 3000, temporal=1, picture=2, start=False), 1)
    assert engine.process([publisher.protect(late)], 0).outgoing == []


def test_going_up_waits_for_a_sync_frame(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.switch_route(1, RouteSource(1, max_temporal=0))
    engine.process([publisher.protect(vp8(1, 0, key=True))], 0)
    engine.switch_route(1, RouteSource(1, max_temporal=1, at_keyframe=False))
    batch = [
        vp8(2, 3000, temporal=1, picture=2),
        vp8(3, 6000, temporal=0, picture=3, tl0=1),
        vp8(4, 9000, temporal=1, picture=4, tl0=1, sync=True),
        vp8(5, 12_000, temporal=0, picture=5, tl0=2),
        vp8(6, 15_000, temporal=1, picture=6, tl0=2),
    ]
    received = subscriber.received(engine.process([publisher.protect(packet) for packet in batch], 0))
    assert [packet.timestamp for packet in received] == [6000, 9000, 12_000, 15_000]
    assert [vp8_picture(packet)[0] for packet in received] == [2, 3, 4, 5]


def test_going_down_happens_at_a_frame(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, 0, key=True)), publisher.protect(vp8(2, 3000, temporal=1))], 0)
    engine.switch_route(1, RouteSource(1, max_temporal=0, at_keyframe=False))
    batch = [vp8(3, 3000, temporal=1, start=False), vp8(4, 6000, temporal=1), vp8(5, 9000, temporal=0)]
    result = engine.process([publisher.protect(packet) for packet in batch], 0)
    assert [packet.timestamp for packet in subscriber.received(result)] == [3000, 9000]


def test_vp9_spatial_layers_get_their_marker(engine: Engine) -> None:
    publisher = Publisher(engine, 1, 1)
    subscriber = Subscriber(engine, 2, 2)
    engine.add_stream(StreamEntry(2, 1, 21, VIDEO_VP9, 22))
    subscriber.add_route(1)
    engine.switch_route(1, RouteSource(2, max_spatial=1))
    batch = []
    for picture in range(2):
        for spatial in range(3):
            packet = vp9(
                3 * picture + spatial, picture * 3000, picture=picture, spatial=spatial, inter=picture > 0,
                marker=spatial == 2,
            )  # fmt: skip
            batch.append(publisher.protect(packet))
    received = subscriber.received(engine.process(batch, 0))
    assert [(packet.seq, packet.marker) for packet in received] == [
        (500, False),
        (501, True),
        (502, False),
        (503, True),
    ]
    # Distances between VP9's picture ids have a meaning: they stay.
    assert [packet.payload[2] for packet in received] == [0, 0, 1, 1]
    engine.switch_route(1, RouteSource(2, max_spatial=2, at_keyframe=False))
    batch = [publisher.protect(vp9(6 + s, 6000, picture=2, spatial=s, inter=False, marker=s == 2)) for s in range(3)]
    assert len(subscriber.received(engine.process(batch, 0))) == 3


def test_a_stream_tells_its_temporal_layers(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    assert engine.progress(1).temporal_layers == 1
    for frame in range(80):
        temporal = (0, 2, 1, 2)[frame % 4] if frame < 40 else 0
        packet = vp8(100 + frame, frame * 4500, picture=frame, temporal=temporal, key=frame == 0)
        engine.process([publisher.protect(packet, frame * 50_000_000)], frame * 50_000_000)
        if frame == 30:
            assert engine.progress(1).temporal_layers == 3
    assert engine.progress(1).temporal_layers == 1
