"""Pictures of a publisher who is far away and loses packets, in simulated time."""

from sfu.formats import rtcp
from sfu.formats.header_extensions import write_playout_delay
from tests.sfu.rooms.stage import KEYFRAME, MS, SECOND, RtcClient, Stage, audio, publish, subscribe, video

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
