"""RTP header extensions (RFC 8285) that the sfu knows, by name and URI."""

from enum import IntEnum


class Extension(IntEnum):
    """A header extension that the sfu understands."""

    MID = 0  # RFC 9143
    RID = 1  # RFC 8852
    REPAIRED_RID = 2  # RFC 8852
    AUDIO_LEVEL = 3  # RFC 6464
    ABS_SEND_TIME = 4
    TRANSPORT_SEQ = 5  # draft-holmer-rmcat-transport-wide-cc-extensions-01
    ABS_CAPTURE_TIME = 6
    PLAYOUT_DELAY = 7
    DEPENDENCY_DESCRIPTOR = 8


URIS = {
    Extension.MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    Extension.RID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    Extension.REPAIRED_RID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    Extension.AUDIO_LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    Extension.ABS_SEND_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    Extension.TRANSPORT_SEQ: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    Extension.ABS_CAPTURE_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    Extension.PLAYOUT_DELAY: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    Extension.DEPENDENCY_DESCRIPTOR: (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    ),
}
