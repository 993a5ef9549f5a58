"""Join tokens: what admits a participant to a room on an sfu.

A token is a JWT (RFC 7519) signed with EdDSA (RFC 8037). Its `kid` names one of the public keys that control publishes;
the sfu never holds a private key. It can be used once (`jti`), within 60 s; afterwards the desired state governs.
"""

from enum import StrEnum

import msgspec

AUDIENCE = "parley-sfu"
LIFETIME_SECONDS = 60
CLOCK_SKEW_SECONDS = 5
"""The tolerated difference between the clocks of control and a node."""


class Source(StrEnum):
    """The source of a track; grants name the sources that a participant may publish."""

    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen-audio"

    @property
    def is_audio(self) -> bool:
        return self in (Source.MICROPHONE, Source.SCREEN_AUDIO)


ALL_SOURCES = tuple(Source)


class Grants(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A participant's rights. `publish` lists the sources that it may publish, `muted` those that a host muted.

    With `unmute` it may ask control to release what a host muted, with `rename` to change its name. With `describe` it
    may change its own name, metadata and attributes by signaling. Others see who is a `presenter`, and do not learn of
    a `hidden` participant. Only the publisher knows where its audio comes from, so muting `microphone` mutes all of it.
    """

    publish: tuple[Source, ...] = ALL_SOURCES
    subscribe: bool = True
    chat: bool = True
    data: bool = True
    muted: tuple[Source, ...] = ()
    host: bool = False
    presenter: bool = False
    record: bool = False
    unmute: bool = True
    rename: bool = True
    describe: bool = False
    hidden: bool = False

    def mutes(self, source: Source) -> bool:
        """Return whether a host muted the source."""
        return source in self.muted or (source.is_audio and Source.MICROPHONE in self.muted)


class JoinClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of a join token. `iat` and `exp` are Unix seconds; `room` is the meeting's id.

    `epoch` is the room's placement (sfu.api.placement) when the token was made; 0 means unknown. `node` is the node to
    join, "" for the room's home. A `returning` participant was admitted before, so a lock does not keep it out. `lite`
    are ICE servers as values of Link headers (RFC 9725, section 4.6), for WHIP and WHEP. `traceparent` is the context
    of the request to join (foundation.tracing).
    """

    aud: str
    jti: str
    iat: int
    exp: int
    room: str
    participant: str
    name: str
    user: str | None = None
    grants: Grants = Grants()
    epoch: int = 0
    returning: bool = False
    ice: tuple[str, ...] = ()
    node: str = ""
    traceparent: str = ""
    identity: str = ""
    metadata: str = ""
    attributes: dict[str, str] = {}
    kind: str = ""
