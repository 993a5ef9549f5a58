"""Plain RTP and SRTP transports, for software without WebRTC: FFmpeg, GStreamer, a SIP gateway, another node.

Addresses, payload types and keys are given instead of being negotiated with ICE and DTLS. All sending transports use
one port of the node; each receiving transport has its own. A key is the base64 of master key and master salt (RFC 4568,
section 6.1). `epoch` is that of the room's placement (sfu.api.placement), as control knows it.
"""

from typing import Literal

import msgspec

from sfu.api.join_token import Source

Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]
TelephoneCodec = Literal["PCMU", "PCMA", "G722"]
CodecName = Literal["opus", TelephoneCodec, "VP8", "VP9", "H264", "AV1"]


class SrtpKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key with which the sender of one direction protects its packets. If the caller gives none, the node generates
    one.
    """

    suite: Suite = "AEAD_AES_128_GCM"
    key: str = ""


class SendTransport(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="direction", tag="send"
):
    """A request to send one track to an address. `participant` is the receiver, shown to the room as `name`.

    The transport sends the named track, or whatever participant `of` publishes as `source`, now and later. With
    `codec`, audio is converted to that telephone codec and sent under the codec's standard payload type unless another
    is given. Reports go to `rtcp_port`, or to `port` if there is none; feedback is accepted from both. `srtp` is our
    key; `remote_srtp`, by default the same key, protects the receiver's feedback. Until a receiver sends RTCP, a
    keyframe is requested every `keyframe_seconds`, since it may be unable to ask; 0 turns that off.
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
    """A track that a sender publishes as `source`, identified by payload type, and by SSRC if that is given.

    `fmtp` holds the format's parameters as in SDP. Telephone codecs are converted, so others see an Opus track.
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
    """A request to receive tracks and publish them as `participant`, shown to the room as `name`.

    With `address` and `port`, only that sender is accepted; otherwise the first to send is (with SRTP, anyone who has
    the key). RTCP arrives at the same port, or with `rtcp_mux` off at the next one. `srtp` is the sender's key;
    `feedback_srtp`, by default the same key, protects our feedback. `consent` is what the sender agrees to. The
    participant's `kind` is `ingress` for a stream of ingress, whose `identity` and `metadata` control sets.
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
    kind: Literal["", "ingress"] = ""
    identity: str = ""
    metadata: str = ""


AnyTransport = SendTransport | ReceiveTransport


class TransportTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A track of a transport. `ssrc` is 0 while the sender's is unknown.

    `oversize` counts packets too large to reach everyone unfragmented; the sender should make them smaller.
    """

    track: str | None
    media: str
    payload_type: int
    ssrc: int = 0
    packets: int = 0
    oversize: int = 0


class TransportInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open transport. `address` and `port` are ours: we send from there, or receive there.

    `sdp` describes what we send, for the receiver (`ffmpeg -i FILE.sdp`), or what we expect, for the sender. `srtp` is
    the key, if the node generated it.
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
