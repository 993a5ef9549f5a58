"""Plain RTP and SRTP transports, for software without WebRTC: FFmpeg, GStreamer, a SIP gateway, another node.

Addresses, payload types and keys are given instead of being negotiated by ICE and DTLS. What is sent leaves from one
port of the node; each transport that receives has a port of its own. Keys are base64 of master key and master salt
(RFC 4568, section 6.1). `epoch` is the room's placement (sfu.api.placement), which control knows.
"""

from typing import Literal

import msgspec

from sfu.api.join_token import Source

Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]
TelephoneCodec = Literal["PCMU", "PCMA", "G722"]
CodecName = Literal["opus", TelephoneCodec, "VP8", "VP9", "H264", "AV1"]


class SrtpKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Key of one direction: the sender protects with it. Without a key from the caller, the node makes one."""

    suite: Suite = "AEAD_AES_128_GCM"
    key: str = ""


class SendTransport(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="direction", tag="send"
):
    """Send one track to an address. `participant` is who receives it, shown to the room as `name`.

    It sends the named track, or whatever participant `of` publishes as `source`, now and later. With `codec`, sound is
    converted to that telephone codec, under the codec's own payload type unless another is given. Reports go to
    `rtcp_port`, or to `port` without one; feedback is accepted from both. `srtp` is ours, `remote_srtp` protects the
    receiver's feedback (the same key unless given). Until a receiver sends RTCP, a keyframe is requested every
    `keyframe_seconds`, since it may be unable to ask; 0 turns that off.
    """

    participant: str = ""
    name: str = ""
    epoch: int = 0
    track: str | None = None
    of: str | None = None
    source: Source | None = None
    address: str
    port: int
    rtcp_port: int | None = None
    codec: TelephoneCodec | None = None
    payload_type: int | None = None
    rtx_payload_type: int | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None
    srtp: SrtpKey | None = None
    remote_srtp: SrtpKey | None = None
    keyframe_seconds: float = 10.0


class PlainTrack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A track that a sender publishes as `source`, identified by payload type, and by SSRC where that is given.

    `fmtp` holds the format's parameters as in SDP. Telephone codecs are converted: others see an Opus track.
    """

    source: Source
    codec: CodecName
    payload_type: int
    rtx_payload_type: int | None = None
    ssrc: int | None = None
    fmtp: str = ""


class ReceiveTransport(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="direction", tag="receive"
):
    """Receive tracks and publish them as `participant`, shown to the room as `name`.

    With `address` and `port`, only that sender is accepted; without, the first to send is (with SRTP, anyone who has
    the key). RTCP comes to the same port, or with `rtcp_mux` off to the next one. `srtp` is the sender's,
    `feedback_srtp` protects what goes back (the same key unless given). `consent` is what the sender agrees to.
    """

    participant: str = ""
    name: str = ""
    epoch: int = 0
    tracks: tuple[PlainTrack, ...]
    address: str | None = None
    port: int | None = None
    rtcp_mux: bool = True
    srtp: SrtpKey | None = None
    feedback_srtp: SrtpKey | None = None
    consent: tuple[Literal["recording", "captions", "analysis"], ...] = ()


AnyTransport = SendTransport | ReceiveTransport


class TransportTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A track of a transport. `ssrc` is 0 while the sender's is not known.

    `oversize` counts packets too large to reach everyone without being fragmented: the sender should make them smaller.
    """

    track: str | None
    media: str
    payload_type: int
    ssrc: int = 0
    packets: int = 0
    oversize: int = 0


class TransportInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open transport. `address` and `port` are ours: where we send from, or where to send to.

    `sdp` describes what we send, for the receiver (`ffmpeg -i FILE.sdp`), or is what a sender may be told. `srtp` holds
    the key where the node made it.
    """

    transport: str
    participant: str
    direction: str
    address: str
    port: int
    rtcp_port: int
    tracks: list[TransportTrack]
    sdp: str = ""
    srtp: SrtpKey | None = None


class Transports(msgspec.Struct, frozen=True, kw_only=True):
    transports: list[TransportInfo]
