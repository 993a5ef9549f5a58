"""The sender of a stream: protected packets, reports that align the tracks, and retransmissions."""

import base64

import pylibsrtp

from ingress.rtp_sender import RtpSender
from sfu.api.ingress import RTX_TYPE
from sfu.api.plain_transport import SrtpKey
from sfu.formats import rtcp
from sfu.formats.rtcp_feedback import Nack, PictureLoss
from sfu.formats.rtp import parse, unwrap_rtx

KEY = bytes(range(28))
START = 1_800_000_000_000_000_000
PICTURE = b"\0\0\0\1\x65" + b"x" * 5000


def session(kind: int) -> pylibsrtp.Session:
    profile = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    return pylibsrtp.Session(pylibsrtp.Policy(KEY, kind, srtp_profile=profile))


def test_what_was_missed_is_sent_again_and_reports_share_a_clock() -> None:
    sender = RtpSender(SrtpKey(key=base64.b64encode(KEY).decode()))
    node, back = session(pylibsrtp.Policy.SSRC_ANY_INBOUND), session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    assert sender.reports(START) == []
    video = [parse(node.unprotect(data)) for data in sender.video(100_000, PICTURE, START)]
    assert [packet.marker for packet in video] == [False] * 4 + [True]
    # The audio has an earlier media time but is sent at the same time, so it has more delay than the video.
    audio = parse(node.unprotect(*sender.audio(80_000, b"sound", START)))
    later = [parse(node.unprotect(data)) for data in sender.video(300_000, PICTURE, START + 40_000_000)]
    reports = [rtcp.parse(node.unprotect_rtcp(data))[0] for data in sender.reports(START + 40_000_000)]
    at = {report.ssrc: report.rtp_timestamp for report in reports if isinstance(report, rtcp.SenderReport)}
    assert (at[later[0].ssrc] - later[0].timestamp) % 2**32 == 0
    assert (at[audio.ssrc] - audio.timestamp) % 2**32 == (300 - 80) * 48
    assert sender.reports(START + 50_000_000) == []

    def feedback(*packets: rtcp.Packet) -> bytes:
        return back.protect_rtcp(rtcp.serialize(packets))

    lost = video[2]
    wish = feedback(Nack(9, lost.ssrc, (lost.seq, (lost.seq + 9000) % 2**16)), PictureLoss(9, lost.ssrc))
    (again,) = sender.receive(wish, START + 60_000_000)
    resent = parse(node.unprotect(again))
    assert resent.payload_type == RTX_TYPE
    assert unwrap_rtx(resent, lost.payload_type, lost.ssrc) == lost
    assert sender.keyframe_wanted
    assert sender.receive(feedback(Nack(9, lost.ssrc, (lost.seq,))), START + 5_000_000_000) == []
    forged = bytearray(feedback(PictureLoss(9, lost.ssrc)))
    forged[-6] ^= 1
    sender.audio(6_000_000, b"sound", START + 6_000_000_000)
    sender.audio(6_020_000, b"sound", START + 6_020_000_000)
    assert sender.receive(bytes(forged), START + 6_030_000_000) == []
    assert sender.unanswered == 20_000_000
    sender.receive(feedback(PictureLoss(9, lost.ssrc)), START + 6_040_000_000)
    assert sender.unanswered == 0


def test_only_media_awaits_an_answer() -> None:
    sender = RtpSender(SrtpKey(key=base64.b64encode(KEY).decode()), zero=START)
    for number in range(100):
        sender.audio(number * 20_000, b"sound", START + number * 20_000_000)
    assert sender.unanswered == 99 * 20_000_000
    again = START + 30_000_000_000  # the source has paused: the node may have had nothing to report
    sender.audio(30_000_000, b"sound", again)
    assert sender.unanswered == 0
    sender.audio(30_020_000, b"sound", again + 20_000_000)
    assert sender.unanswered == 20_000_000
