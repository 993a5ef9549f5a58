"""Opening, listing and closing the plain transports of a room. Each is its participant's only connection."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from sfu.api.join_token import AUDIENCE, Grants, JoinClaims
from sfu.api.plain_transport import AnyTransport, ReceiveTransport, SendTransport, TransportInfo, TransportTrack
from sfu.api.refusal import Code, Refused
from sfu.api.signaling import Consent
from sfu.engine.contract import Address
from sfu.formats import telephony
from sfu.formats.codecs import Codec
from sfu.machines.negotiation.agreement import NegotiatedPayload
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.peers.plain_peer import PlainAddress, PlainPeer, srtp_keys, with_key
from sfu.peers.publish.plain_publish_peer import CODECS, PlainPublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.plain_subscribe_peer import PlainSubscribePeer
from sfu.rooms import consenting, distribution, publishing, subscribing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.node import Membership, Node
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner
from sfu.rooms.plain_sdp import Described, describe

MAX_TRACKS = 8
_MAX_PORT = 65535
_MAX_SSRC = 0xFFFFFFFF
_DYNAMIC = range(35, 128)  # lower ones are assigned to other codecs (RFC 3551, section 6)
_RESERVED = range(64, 96)  # with the marker bit they would look like RTCP (RFC 5761, section 4)


def claims_of(room: str, transport: AnyTransport) -> JoinClaims:
    """Return claims for the transport's participant, as a token would have."""
    sources = tuple({track.source for track in transport.tracks}) if isinstance(transport, ReceiveTransport) else ()
    grants = Grants(publish=sources, chat=False)
    name = transport.name or transport.participant
    return JoinClaims(
        aud=AUDIENCE,
        jti="",
        iat=0,
        exp=0,
        room=room,
        participant=transport.participant,
        name=name,
        grants=grants,
        epoch=transport.epoch,
        **_described(transport),
    )


def _described(transport: AnyTransport) -> dict[str, Any]:
    """Return the claims that a stream of ingress has, as control set them."""
    if isinstance(transport, SendTransport):
        return {}
    return {"kind": transport.kind, "identity": transport.identity, "metadata": transport.metadata}


def open_transport(
    node: Node, name: str, transport: AnyTransport, end: LocalEndpoint, now: int, *, is_vouched_for: bool = True
) -> TransportInfo:
    """Open a transport; its participant joins if necessary. Raises Refused, without any change.

    A receiver that nobody vouches for must answer soon (peers.unproved).
    """
    check(transport)
    room = node.rooms.get(name)
    if room is not None and count(room) >= room.context.limits.transports:
        raise Refused(Code.FULL, "The meeting has too many transports.")
    known = room.participants.get(transport.participant) if room is not None else None
    if known is not None and not known.plain:
        raise Refused(Code.NOT_PERMITTED, "This participant is already connected another way.")
    if room is not None and known is not None:
        joined = Membership(room, known)
    else:
        joined = node.join(claims_of(name, transport), None, now, plain=True)
    try:
        if isinstance(transport, SendTransport) and not is_vouched_for:
            return _open_unproved(joined.room, joined.participant, transport, end, now)
        return open_in(joined.room, joined.participant, transport, end, now)
    except Refused:
        if known is None:
            node.leave(joined, "left", now)
        raise
    finally:
        node.settle(now)


def close_transport(node: Node, name: str, transport: str, now: int) -> bool:
    """Close a transport; with its last one the participant leaves. Return False if there is no such transport."""
    room = node.rooms.get(name)
    participant = close(room, transport, now) if room is not None else None
    if room is None or participant is None:
        return False
    if participant.plain and not participant.senders and participant.publish is None:
        node.leave(Membership(room, participant), "left", now)
    node.settle(now)
    return True


def check(transport: AnyTransport) -> None:
    """Raise Refused for a request that is invalid in any room."""
    if not 0 < len(transport.participant) <= 128 or len(transport.name) > 200:
        raise Refused(Code.BAD_MESSAGE, "`name` or `participant` is required.")
    ports = [transport.port]
    ssrcs: list[int | None]
    if isinstance(transport, SendTransport):
        ports.append(transport.rtcp_port)
        ssrcs = [transport.ssrc, transport.rtx_ssrc]
        if (transport.track is None) == (transport.of is None or transport.source is None):
            raise Refused(Code.BAD_MESSAGE, "Name what to send by `track`, or by `of` and `source`.")
        if not 0 <= transport.keyframe_seconds <= 3600:
            raise Refused(Code.BAD_MESSAGE, "`keyframe_seconds` must be between 0 and 3600.")
        meant = {transport.payload_type: CODECS[transport.codec]} if transport.codec is not None else {}
        _check_types(meant, [transport.payload_type, transport.rtx_payload_type])
    else:
        ssrcs = [track.ssrc for track in transport.tracks]
        _check_tracks(transport)
    if any(port is not None and not 0 < port <= _MAX_PORT for port in ports):
        raise Refused(Code.BAD_MESSAGE, "A port must be between 1 and 65535.")
    if any(ssrc is not None and not 0 < ssrc <= _MAX_SSRC for ssrc in ssrcs):
        raise Refused(Code.BAD_MESSAGE, "An SSRC must have 32 bits and not be 0.")


def _check_tracks(transport: ReceiveTransport) -> None:
    if not 0 < len(transport.tracks) <= MAX_TRACKS:
        raise Refused(Code.BAD_MESSAGE, f"A transport receives 1 to {MAX_TRACKS} tracks.")
    if (transport.address is None) != (transport.port is None):
        raise Refused(Code.BAD_MESSAGE, "`address` and `port` must be given together.")
    _check_types(
        {track.payload_type: CODECS[track.codec] for track in transport.tracks},
        [number for track in transport.tracks for number in (track.payload_type, track.rtx_payload_type)],
    )
    for track in transport.tracks:
        if track.source.is_audio != CODECS[track.codec].is_audio:
            raise Refused(Code.BAD_MESSAGE, f"A {track.source.value} track cannot be {track.codec}.")
        if len(track.fmtp) > 1000 or not track.fmtp.isprintable():
            raise Refused(Code.BAD_MESSAGE, "`fmtp` must be one line of parameters.")


def _check_types(meant: Mapping[int | None, Codec], types: Sequence[int | None]) -> None:
    """Refuse duplicate payload types, and those of a codec other than the one `meant`."""
    given = [number for number in types if number is not None]
    free = [number for number in given if number not in meant or number != telephony.PAYLOAD_TYPES.get(meant[number])]
    if any(number not in _DYNAMIC or number in _RESERVED for number in free) or len(set(given)) < len(given):
        raise Refused(Code.BAD_MESSAGE, "Payload types must be distinct, and from 35 to 63 or 96 to 127.")


def open_in(
    room: LiveRoom, participant: Participant, transport: AnyTransport, end: LocalEndpoint, now: int
) -> TransportInfo:
    """Open a transport for a participant in the room; raises Refused, without opening anything."""
    _check_convertible(room, transport)
    if room.desired is not None and room.desired.e2ee:
        raise Refused(Code.NOT_PERMITTED, "The meeting is end-to-end encrypted.")
    try:
        if isinstance(transport, SendTransport):
            return _open_sender(room, participant, transport, end, now)
        return _open_receiver(room, participant, transport, end, now)
    except ValueError as error:
        raise Refused(Code.BAD_MESSAGE, f"{error}.") from error


def _check_convertible(room: LiveRoom, transport: AnyTransport) -> None:
    """Refuse telephone codecs if nothing converts them: no browser, recorder or player can decode them."""
    codecs = [transport.codec] if isinstance(transport, SendTransport) else [track.codec for track in transport.tracks]
    for codec in codecs:
        if codec is not None and CODECS[codec] in telephony.PAYLOAD_TYPES and not room.transcoding.is_on:
            detail = f"This server does not convert {codec}. Browsers, recorder and captions need Opus."
            raise Refused(Code.CODEC_UNSUPPORTED, detail)


def _open_unproved(
    room: LiveRoom, participant: Participant, wish: SendTransport, end: LocalEndpoint, now: int
) -> TransportInfo:
    room.context.unproved.begin(wish.address, now)
    info = open_in(room, participant, wish, end, now)
    participant.senders[info.transport].expect_proof(now)
    room.touch(participant.senders[info.transport].peer.number)
    return info


def _open_sender(
    room: LiveRoom, participant: Participant, wish: SendTransport, end: LocalEndpoint, now: int
) -> TransportInfo:
    kind = _kind(room, wish)
    srtp = with_key(wish.srtp) if wish.srtp is not None else None
    keys = srtp_keys(srtp, wish.remote_srtp or srtp) if srtp is not None else None
    if not participant.grants.subscribe:
        raise Refused(Code.NOT_PERMITTED, "This participant may not receive here.")
    if wish.codec is not None and kind != "audio":
        raise Refused(Code.BAD_MESSAGE, f"Video cannot be sent as {wish.codec}.")
    peer = PlainPeer(room.context, keys)
    try:
        media: Address = (wish.address, wish.port)
        rtcp: Address = (wish.address, wish.rtcp_port or wish.port)
        peer.set_address(PlainAddress(media, rtcp, end.local, end.local))
    except ValueError:
        peer.close(now)
        raise
    wish = msgspec.structs.replace(wish, srtp=srtp)
    subscribe_peer = PlainSubscribePeer(
        room.context, wish, kind, peer, now, convert=partial(room.transcoding.convert, room)
    )
    participant.senders[subscribe_peer.transport] = subscribe_peer
    subscribe_peer.end = (end.address, end.port)
    room.peers.add(Owner(room, participant, subscribe_peer))
    distribution.refresh(room, participant, now)
    room.touch(peer.number)
    return _sender_info(room, participant, subscribe_peer)


def _kind(room: LiveRoom, wish: SendTransport) -> str:
    if wish.track is None:
        return "audio" if wish.source is not None and wish.source.is_audio else "video"
    uptrack = room.uptracks.get(wish.track)
    if uptrack is None:
        raise Refused(Code.UNKNOWN_TRACK, "There is no such track.")
    return uptrack.media.kind


def _open_receiver(
    room: LiveRoom, participant: Participant, wish: ReceiveTransport, end: LocalEndpoint, now: int
) -> TransportInfo:
    if participant.publish is not None:
        raise Refused(Code.NOT_PERMITTED, "This participant already has a transport that receives.")
    if any(track.source not in participant.grants.publish for track in wish.tracks):
        raise Refused(Code.PUBLISH_NOT_PERMITTED, "This participant may not publish this here.")
    srtp = with_key(wish.srtp) if wish.srtp is not None else None
    keys = srtp_keys(wish.feedback_srtp or srtp, srtp) if srtp is not None else None
    peer = PlainPeer(room.context, keys, end.sockets)
    publish = PlainPublishPeer(room.context, participant.participant, peer, (end.local, end.rtcp_local), now)
    sender = (wish.address, wish.port) if wish.address is not None and wish.port is not None else None
    publish.listen(sender)
    publish.end = (end.address, end.port, end.rtcp_port)
    participant.publish = publish
    room.peers.add(Owner(room, participant, publish))
    for uptrack in publish.declare(wish.tracks, partial(room.transcoding.convert, room), now):
        uptrack.muted_by_host = participant.grants.mutes(uptrack.source)
        publishing.introduce(room, uptrack, now)
    distribution.refresh_all(room, now)
    consenting.answer(room, participant, Consent(text="plain", **dict.fromkeys(wish.consent, True)), now)
    room.touch(peer.number)
    info = _receiver_info(participant, publish)
    made = srtp is not None and wish.srtp is not None and not wish.srtp.key
    return msgspec.structs.replace(info, srtp=srtp) if made else info


def infos(room: LiveRoom) -> list[TransportInfo]:
    """Return the open transports of a room, without keys."""
    found = []
    for participant in room.participants.values():
        if isinstance(participant.publish, PlainPublishPeer):
            found.append(_receiver_info(participant, participant.publish))
        found += [_sender_info(room, participant, subscribe_peer) for subscribe_peer in participant.senders.values()]
    return found


def count(room: LiveRoom) -> int:
    """Return the number of open transports."""
    return sum(
        len(participant.senders) + isinstance(participant.publish, PlainPublishPeer)
        for participant in room.participants.values()
    )


def close(room: LiveRoom, transport: str, now: int) -> Participant | None:
    """Close a transport; return its participant, None if there is no such transport."""
    for participant in list(room.participants.values()):
        publish = participant.publish
        if transport in participant.senders:
            subscribing.stop_sending(room, participant, transport, now)
        elif isinstance(publish, PlainPublishPeer) and publish.transport == transport:
            publishing.end(room, participant, now)
            distribution.refresh_all(room, now)
        else:
            continue
        return participant
    return None


def _sender_info(room: LiveRoom, participant: Participant, subscribe_peer: PlainSubscribePeer) -> TransportInfo:
    wish, downtrack = subscribe_peer.wish, subscribe_peer.downtrack
    address, port = subscribe_peer.end
    uptrack = downtrack.uptrack
    section = Described(
        subscribe_peer.kind,
        subscribe_peer.payload_type,
        _payload(subscribe_peer, uptrack),
        (wish.address, wish.port),
        wish.rtcp_port or wish.port,
        wish.srtp,
        downtrack.ssrc,
        downtrack.cname,
        wish.rtx_payload_type if subscribe_peer.kind == "video" else None,
    )
    packets = room.context.engine.route_state(downtrack.route).packets if downtrack.in_table else 0
    track = TransportTrack(
        track=uptrack.track if uptrack is not None else None,
        media=subscribe_peer.kind,
        payload_type=subscribe_peer.payload_type,
        ssrc=downtrack.ssrc,
        packets=packets,
    )
    return TransportInfo(
        transport=subscribe_peer.transport,
        participant=participant.participant,
        direction="send",
        address=address,
        port=port,
        rtcp_port=port,
        tracks=[track],
        sdp=describe(address, [section]),
    )


def _payload(subscribe_peer: PlainSubscribePeer, uptrack: UpTrack | None) -> NegotiatedPayload:
    """Return the codec that is or would be sent: without a wish, the one that browsers send."""
    if uptrack is not None:
        return uptrack.payload
    if subscribe_peer.codec is not None:
        return NegotiatedPayload(subscribe_peer.codec, telephony.CLOCK_RATE)
    return (
        NegotiatedPayload(Codec.OPUS, 48_000, channels=2)
        if subscribe_peer.kind == "audio"
        else NegotiatedPayload(Codec.VP8, 90_000)
    )


def _receiver_info(participant: Participant, publish: PlainPublishPeer) -> TransportInfo:
    address, port, rtcp_port = publish.end
    sections = [
        Described(uptrack.media.kind, uptrack.payload_type, uptrack.payload, (address, port), rtcp_port)
        for uptrack in publish.received.values()
    ]
    tracks = [
        TransportTrack(
            track=uptrack.track,
            media=uptrack.media.kind,
            payload_type=uptrack.payload_type,
            ssrc=uptrack.streams[0].ssrc if uptrack.streams else 0,
            packets=sum(stream.packets for stream in uptrack.streams),
            oversize=sum(stream.progress.oversize for stream in uptrack.streams),
        )
        for uptrack in publish.received.values()
    ]
    return TransportInfo(
        transport=publish.transport,
        participant=participant.participant,
        direction="receive",
        address=address,
        port=port,
        rtcp_port=rtcp_port,
        tracks=tracks,
        sdp=describe(address, sections),
    )
