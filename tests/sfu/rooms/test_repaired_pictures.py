"""Pictures of a publisher, or for a viewer, who is far away and loses packets, in simulated time."""

from sfu.formats import rtcp
from sfu.formats.header_extensions import write_playout_delay
from tests.sfu.rooms.simulcast_call import ONE_SIZE, Call
from tests.sfu.rooms.stage import KEYFRAME, MS, SECOND, RtcClient, Stage, audio, publish, subscribe, video
from tests.support.link_model import LinkSettings

FAR = 200 * MS
PLAYOUT_DELAY = 9
LONGEST = 10 * SECOND


def send_some(stage: Stage, sender: RtcClient, first: int, *, lossy: bool) -> int:
    """Send for a second; of a lossy sender, every tenth packet comes only as a repair. Return the next number."""
    sender.rtcp.clear()
    for seq in range(first, first + 30):
        sender.send(audio(seq))
        if seq % 10 or not lossy:
            sender.send(video(seq))
        stage.run(33 * MS)
        for place, nack in enumerate(sender.feedback(rtcp.Nack)):
            (lost,) = nack.seqs
            stage.run(FAR)
            repair = video(lost)
            payload = lost.to_bytes(2, "big") + repair.payload
            sender.send(repair._replace(payload_type=121, ssrc=2002, seq=lost + place, payload=payload))
        sender.rtcp.clear()
    stage.run(1100 * MS)
    return first + 30


def told(receiver: RtcClient) -> set[bytes | None]:
    """Return the playout delays of the pictures that have come since the last call."""
    found = {dict(packet.extensions).get(PLAYOUT_DELAY) for packet in receiver.rtp if packet.payload_type == 96}
    receiver.rtp.clear()
    return found


def test_they_are_shown_late_enough_for_the_repairs_while_there_are_any() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann)
    stage.run(200 * MS)
    subscribe(stage, bob, receiver)
    sender.send(video(1, KEYFRAME))
    stage.deliver()
    assert told(receiver) == {write_playout_delay(0, LONGEST)}
    seq = send_some(stage, sender, 2, lossy=False)
    assert told(receiver) == {None}
    for _ in range(2):
        seq = send_some(stage, sender, seq, lossy=True)
    for _ in range(2):  # the delay rises slowly
        seq = send_some(stage, sender, seq, lossy=False)
    told(receiver)
    seq = send_some(stage, sender, seq, lossy=False)
    (delay,) = told(receiver)
    assert delay is not None
    least = int.from_bytes(delay, "big") >> 12
    assert 20 <= least <= 30  # of 10 ms
    for _ in range(30):
        seq = send_some(stage, sender, seq, lossy=False)
    told(receiver)
    send_some(stage, sender, seq, lossy=False)
    assert told(receiver) == {write_playout_delay(0, LONGEST)}


def watch(call: Call, seconds: int) -> set[int | None]:
    """Let a camera that sends reports be seen for a while; return the delays (ms) that the newest pictures told."""
    (camera,) = call.cameras
    for _ in range(seconds):
        camera.client.send_rtcp([rtcp.SenderReport(3000, (call.stage.now << 32) // SECOND, 0, 1, 1)])
        call.viewer.client.rtp.clear()
        call.run(1)
    pictures = [packet for packet in call.viewer.client.rtp if packet.payload_type == 96]
    found = [dict(packet.extensions).get(PLAYOUT_DELAY) for packet in pictures]
    return {10 * (int.from_bytes(value, "big") >> 12) if value else None for value in found}


def test_a_far_viewer_waits_for_the_repairs_of_what_it_loses() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=FAR), sizes=ONE_SIZE)
    call.viewer.asks = call.viewer.reports = True
    assert watch(call, 6) == {None}
    call.viewer.link.change(call.stage.now, loss=0.03)
    watch(call, 8)
    (delay,) = watch(call, 1)
    assert delay is not None
    assert 220 <= delay <= 350
    call.viewer.link.change(call.stage.now, loss=0.0)
    assert watch(call, 75) == {0}


def test_a_near_viewer_does_not() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS, loss=0.03), sizes=ONE_SIZE)
    call.viewer.asks = call.viewer.reports = True
    assert watch(call, 10) <= {None, 0}
