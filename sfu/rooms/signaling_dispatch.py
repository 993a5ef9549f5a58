"""Dispatch of the signaling messages of joined participants."""

from sfu.api import facts, signaling, signaling_values
from sfu.api.refusal import Code, Refused
from sfu.formats.codecs import Codec
from sfu.peers.publish.negotiated_publish_peer import Declared
from sfu.peers.publish.uptrack import CODECS_BY_NAME
from sfu.rooms import (
    chat,
    consent_policy,
    consenting,
    data_routing,
    describing,
    gestures,
    membership,
    publishing,
    subscribing,
)
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant

_BEFORE_CONSENT = (signaling.Consent, signaling.Ping, signaling.Leave, signaling.Ice, signaling.Join)
_CHOSEN = CODECS_BY_NAME | {"red": Codec.RED}


def handle(room: LiveRoom, participant: Participant, message: signaling.ClientMessage, now: int) -> None:
    """Carry out a participant's message; raises Refused."""
    negotiates = isinstance(message, signaling.Offer | signaling.Answer | signaling.RestartSubscribe)
    if negotiates and not participant.negotiation_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many negotiations; wait a moment.")
    if consent_policy.is_owed(room, participant) and not isinstance(message, _BEFORE_CONSENT):
        raise consent_policy.refusal()
    match message:
        case signaling.Offer():
            _offer(room, participant, message, now)
        case signaling.Answer():
            _answer(room, participant, message, now)
        case signaling.RestartSubscribe():
            _restart_subscribe(room, participant, now)
        case signaling.Unpublish():
            publishing.unpublish(room, participant, message.track, now)
        case signaling.MediaControl():
            publishing.set_muted(room, participant, message.track, message.muted, now, too_slow=message.too_slow)
        case signaling.Subscribe():
            subscribing.set_wants(room, participant, message.tracks, now)
        case signaling.Consent():
            consenting.answer(room, participant, message, now)
        case signaling.Chat() | signaling.Hand() | signaling.Reaction():
            _say(room, participant, message, now)
        case signaling.Record():
            _record(room, participant, message, now)
        case _:
            _attend(room, participant, message, now)


def _leave(room: LiveRoom, participant: Participant, now: int) -> None:
    subscription = participant.subscription
    for media in (participant.publish, subscription.subscribe_peer if subscription is not None else None):
        if media is not None:
            data_routing.finish(room, participant, media, now)
    membership.leave(room, participant, "left", now)


def _attend(
    room: LiveRoom,
    participant: Participant,
    message: (
        signaling.Ping
        | signaling.Leave
        | signaling.Ice
        | signaling.Join
        | signaling.Describe
        | signaling.DataTracks
        | signaling.Permit
    ),
    now: int,
) -> None:
    if isinstance(message, signaling.Ping):
        room.context.outbox.tell(participant.session, signaling.Pong(id=message.id))
    elif isinstance(message, signaling.Leave):
        _leave(room, participant, now)
    elif isinstance(message, signaling.Describe):
        describing.describe(room, participant, message, now)
    elif isinstance(message, signaling.DataTracks):
        describing.list_data_tracks(room, participant, message, now)
    elif isinstance(message, signaling.Permit):
        describing.permit(room, participant, message, now)
    elif isinstance(message, signaling.Join):
        raise Refused(Code.BAD_MESSAGE, "You have already joined.")
    # Candidates are ignored: an ICE-lite agent learns addresses from checks.


def _say(
    room: LiveRoom,
    participant: Participant,
    message: signaling.Chat | signaling.Hand | signaling.Reaction,
    now: int,
) -> None:
    match message:
        case signaling.Chat():
            chat.send(room, participant, message, now)
        case signaling.Hand():
            gestures.hand(room, participant, message, now)
        case signaling.Reaction():
            gestures.react(room, participant, message, now)


def _offer(room: LiveRoom, participant: Participant, message: signaling.Offer, now: int) -> None:
    if message.peer != "publish":
        raise Refused(Code.BAD_MESSAGE, "Only the server makes offers on the subscribe peer.")
    declared = {
        entry.mid: Declared(
            entry.source,
            entry.muted,
            _CHOSEN.get(entry.codec),
            entry.backup_of,
            entry.scalability,
            entry.track,
            entry.name,
            entry.width,
            entry.height,
            entry.sealed,
            entry.continuous,
        )
        for entry in message.tracks
    }
    change = publishing.offer(room, participant, message.sdp, declared, now, fresh=message.restart)
    publish = participant.publish
    assert publish is not None
    answered = [
        signaling_values.AnsweredTrack(mid=mid, track=uptrack.track) for mid, uptrack in publish.uptracks.items()
    ]
    room.context.outbox.tell(
        participant.session,
        signaling.Answer(peer="publish", sdp=change.answer.sdp, id=message.id, tracks=answered),
    )
    publishing.announce(room, participant, change, declared, now)


def _answer(room: LiveRoom, participant: Participant, message: signaling.Answer, now: int) -> None:
    if message.peer != "subscribe":
        raise Refused(Code.BAD_MESSAGE, "Only the server answers on the publish peer.")
    subscribing.answer(room, participant, message.id, message.sdp, now)


def _record(room: LiveRoom, participant: Participant, message: signaling.Record, now: int) -> None:
    grants = participant.grants
    if not (grants.host or grants.record):
        raise Refused(Code.NOT_PERMITTED, "You may not record here.")
    if not participant.chat_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many requests; wait a moment.")
    at = room.context.unix_ms(now)
    room.report(facts.RecordingRequested(room=room.room, at=at, participant=participant.participant, on=message.on))


def _restart_subscribe(room: LiveRoom, participant: Participant, now: int) -> None:
    if not participant.grants.subscribe:
        raise Refused(Code.NOT_PERMITTED, "You may not receive here.")
    subscribing.start(room, participant, now)
