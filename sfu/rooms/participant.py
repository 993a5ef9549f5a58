"""A participant in a room: its grants, its session, and its peers."""

import hmac
import secrets
from dataclasses import dataclass, field

from foundation.token_bucket import TokenBucket
from sfu.api.join_token import Grants, JoinClaims
from sfu.api.signaling_values import DataTrack, ParticipantInfo, Permitted, WantedTrack
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.subscribe.plain_subscribe_peer import PlainSubscribePeer
from sfu.peers.subscribe.subscription import Subscription
from sfu.peers.subscribe.whep_player import WhepPlayer
from sfu.rooms.data_allowance import DataAllowance, packet_allowance
from sfu.rooms.dialect import Dialect

_CHAT_PER_SECOND = 2.0
_CHAT_BURST = 10.0
_SDP_PER_SECOND = 4.0
_SDP_BURST = 40.0


@dataclass(slots=True)
class Consents:
    """The three consents, not given by default. For recording, no answer (None) differs from a refusal."""

    recording: bool | None = None
    captions: bool = False
    analysis: bool = False


@dataclass(slots=True)
class Participant:
    """`session` is the signaling session, None for WHIP, WHEP and plain transports, and while it is lost (since
    `lost_at`).

    A participant that joined another of the room's nodes is known here through `link`, and described by `info`. `plain`
    is set if it has only plain transports; `senders` holds those that send to it, by id.

    `is_notice` is set for the room's own voice, which nobody joined for (sfu.rooms.notices).

    `audience` lists those who may receive its tracks, None for everybody. `withheld` are others' tracks that it was
    told are not shared with it.

    `heard_at` is when its client last sent a message. A client of another protocol has a `dialect`; without `takes_all`
    it gets only the tracks that it asks for.
    """

    participant: str
    name: str
    user: str | None
    grants: Grants
    session: int | None = None
    lost_at: int | None = None
    signaled: bool = True
    heard_at: int = 0
    publish: PublishPeer | None = None
    subscription: Subscription | None = None
    whep_player: WhepPlayer | None = None
    plain: bool = False
    link: int | None = None
    is_notice: bool = False
    info: ParticipantInfo | None = None
    senders: dict[str, PlainSubscribePeer] = field(default_factory=dict)
    consents: Consents = field(default_factory=Consents)
    wants: dict[str, WantedTrack] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    audience: tuple[Permitted, ...] | None = None
    withheld: frozenset[str] = frozenset()
    chat_bucket: TokenBucket = field(default_factory=lambda: TokenBucket(_CHAT_PER_SECOND, _CHAT_BURST))
    gesture_bucket: TokenBucket = field(default_factory=lambda: TokenBucket(_CHAT_PER_SECOND, _CHAT_BURST))
    hand: int = 0
    joined_at: int = 0
    kind: str = ""
    quality: str = ""
    negotiation_bucket: TokenBucket = field(default_factory=lambda: TokenBucket(_SDP_PER_SECOND, _SDP_BURST))
    dialect: Dialect | None = None
    takes_all: bool = True
    identity: str = ""
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    data: DataAllowance = field(default_factory=DataAllowance)
    data_tracks: tuple[DataTrack, ...] = ()
    packets: DataAllowance = field(default_factory=packet_allowance)
    traceparent: str = ""
    resume: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @classmethod
    def from_claims(cls, claims: JoinClaims, grants: Grants, now: int) -> "Participant":
        return cls(
            claims.participant,
            claims.name,
            claims.user,
            grants,
            heard_at=now,
            identity=claims.identity,
            metadata=claims.metadata,
            attributes=dict(claims.attributes),
            kind=claims.kind,
            traceparent=claims.traceparent,
        )

    def shares(self, track: str, viewer: "Participant") -> bool:
        """Return whether another participant may receive one of this participant's tracks."""
        return self.audience is None or any(
            (one.participant == viewer.participant or bool(one.identity and one.identity == viewer.identity))
            and (one.tracks is None or track in one.tracks)
            for one in self.audience
        )

    @property
    def connected(self) -> bool:
        return self.session is not None or not self.signaled

    def resumes_with(self, secret: str) -> bool:
        return hmac.compare_digest(self.resume.encode(), secret.encode())
