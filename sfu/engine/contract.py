"""The engine's contract: the table that policy edits, and the results of a batch of datagrams.

Policy (peer, uptrack, downtrack) edits the table between batches; the engine executes it per packet. Two engines keep
this contract and must produce byte-identical datagrams from the same keys, table and batch: `sfu.engine.python` and, if
it was built, `sfu.engine.compiled`. Only the loop's thread may call an engine. Times are nanoseconds of
CLOCK_MONOTONIC. Ids (peer, stream, route, sink, handle) are small non-negative integers, chosen by policy and unique in
the table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import NamedTuple, Protocol

from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.audio_levels import Voice
from sfu.machines.congestion.feedback_analyser import FeedbackSummary
from sfu.machines.congestion.uplink_delay import UplinkWindow
from sfu.machines.repair.receive_statistics import Received

VERSION = 3
"""The version of the calls between policy and the compiled engine: increase it with each change that an engine which
was not rebuilt would get wrong. Such an engine refuses to load.
"""

Address = tuple[str, int]
"""An IP literal (no zone) and a port."""


class SrtpProfile(IntEnum):
    """DTLS-SRTP protection profiles (RFC 5764, RFC 7714), by their IANA numbers."""

    AES128_CM_HMAC_SHA1_80 = 0x0001
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008


class Drop(IntEnum):
    """The reasons for dropping packets. Every drop is counted under one of them; metrics show them by name."""

    UNKNOWN_SOURCE = 0  # no peer has validated this address
    NOT_WEBRTC = 1  # first byte outside RFC 7983's ranges
    MALFORMED = 2  # RTP, RTCP or RED that does not parse
    AUTHENTICATION = 3  # SRTP tag does not verify
    REPLAY = 4  # seen before, or older than the window
    NO_KEYS = 5  # SRTP before DTLS is done: held until too old, or too much to hold
    UNKNOWN_SSRC = 6  # left to policy, which had no use for it
    NOT_PERMITTED = 7  # the publisher may not publish this (now)
    DUPLICATE = 8  # same seq arrived another way (RTX of a received packet)
    TOO_LATE = 9  # older than the cache
    FILTERED = 10  # of a layer that this route does not carry
    WAITING_FOR_KEYFRAME = 11  # before a route's first keyframe, or the next one after a cut
    NO_ADDRESS = 12  # destination not validated yet
    SEND_BUFFER = 13  # EAGAIN
    SEND_ERROR = 14  # any other errno of a send
    QUEUE_FULL = 15  # per-peer queue over its bound; a stream that had no room continues with a keyframe
    RTX_UNKNOWN = 16  # a NACK for a packet that the ring or cache no longer holds
    RTX_TOO_SOON = 17  # the same packet was retransmitted within a round trip
    UNMAPPED_PAYLOAD_TYPE = 18  # the destination has no payload type for it
    SINK_FULL = 19  # a sink's queue over its bound
    SINK_GONE = 20  # the sink detached
    STOPPED = 21  # queued for the peer's budget when its route was stopped
    SHED = 22  # video left unread under overload
    BACKLOG_FULL = 23  # video left unread while too much waited to be forwarded
    NOT_HANDED_ON = 24  # for another worker on the same port, beyond the bound on handing on
    STALE = 25  # video that waited too long to be forwarded; its stream continues with a keyframe
    SILENT = 26  # sound of a microphone into which nobody speaks, under overload


class Datagram(NamedTuple):
    """A received datagram: its bytes, its source, the index of our socket, and the kernel's receive time.

    `dropped` counts datagrams right before it that were lost because the socket's buffer was full.
    """

    data: bytes
    source: Address
    local: int
    arrival: int
    dropped: int = 0


class Outgoing(NamedTuple):
    """A datagram to send from socket `local` to `destination`."""

    data: bytes
    destination: Address
    local: int


class LeftoverKind(IntEnum):
    STUN = 0
    DTLS = 1
    RTCP = 2  # data: the unprotected compound packet (RFC 3550, 5506), unless it is only a sign of life
    UNKNOWN_SSRC = 3  # data: the unprotected RTP packet
    EARLY = 4  # data: protected RTP or RTCP of a peer without keys so far
    STRAY = 5  # data: protected RTP or RTCP from an address that no peer has validated


class Leftover(NamedTuple):
    """A datagram left to policy. `peer` is -1 for addresses that no peer has validated."""

    kind: LeftoverKind
    peer: int
    data: bytes
    source: Address
    local: int
    arrival: int


class ArrivalFlag(IntFlag):
    KEYFRAME = 2  # the packet begins a keyframe (video)
    PADDING = 4  # padding only: never forwarded, and skipped in the numbering
    REPAIRED = 8  # arrived as RTX (RFC 4588); ext_seq is the original's
    RESUMED = 16  # nothing of the stream arrived for RESUMED_NS before it, or ever
    CUT = 32  # left out with all later packets up to a keyframe: waited too long, or a peer had no room for its stream
    RECOVERED = 64  # was lost, and recovered from the redundancy (RED, RFC 2198) of a later packet
    OVERFLOWED = 128  # the gap right before it is our own loss: we dropped packets since the stream's last one


class Arrival(NamedTuple):
    """A new RTP packet of a registered stream to which policy may have to react at once.

    Such packets have `gap` newly missing packets before them; are late, retransmitted (REPAIRED) or recovered from
    redundancy (RECOVERED); begin a keyframe; or are the first after a pause (RESUMED) or after a loss of our own
    (OVERFLOWED); or are left out up to a keyframe (CUT). `Progress` covers all others. `size` is the RTP packet's bytes
    with RTX and RED unwrapped (0 for CUT), `timestamp` the 32-bit RTP timestamp. `ext_seq` starts at the first packet's
    seq. Packets that may not pass are reported, too.
    """

    peer: int
    stream: int
    ext_seq: int
    gap: int
    arrival: int
    timestamp: int
    size: int
    flags: int


class Switch(NamedTuple):
    """A route's switch from its current to its pending source, at the packet `ext_seq` of `stream`."""

    route: int
    stream: int
    ext_seq: int


class Observed(NamedTuple):
    """A summary of a peer's feedback up to the message that arrived at `arrival`; see
    `sfu.engine.send_side_observer`.
    """

    peer: int
    summary: FeedbackSummary
    arrival: int


class SinkPacket(NamedTuple):
    """A packet for a sink, as the publisher sent it: unprotected, with RTX and RED unwrapped."""

    sink: int
    handle: int
    stream: int
    ext_seq: int
    arrival: int
    rtp: bytes


@dataclass(slots=True)
class Result:
    """The result of a batch. Lists are in the order of processing."""

    outgoing: list[Outgoing] = field(default_factory=list)
    sink_packets: list[SinkPacket] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    observed: list[Observed] = field(default_factory=list)

    def add(self, later: "Result") -> None:
        """Append the result of a later batch, except `outgoing`."""
        self.sink_packets += later.sink_packets
        self.leftovers += later.leftovers
        self.arrivals += later.arrivals
        self.switches += later.switches
        self.observed += later.observed


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """The keys of one association (RFC 5764, section 4.2), each a master key followed by a master salt."""

    profile: SrtpProfile
    receive: bytes
    send: bytes


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """A peer in the table. Extension ids are those negotiated with the peer, in each direction (RFC 8285)."""

    peer: int
    receive_extensions: Mapping[int, Extension] = field(default_factory=dict)
    send_extensions: Mapping[Extension, int] = field(default_factory=dict)


class ConsentCheck(NamedTuple):
    """A binding request that a peer's far end repeats (RFC 7675): its bytes between the header and MESSAGE-INTEGRITY,
    and that attribute's key. The response reports the address `mapped`.
    """

    attributes: bytes
    key: bytes
    mapped: Address


@dataclass(frozen=True, slots=True)
class Payload:
    """The content of an incoming stream's payload type. For RTX, `repairs` is the payload type that it repairs.

    RED (RFC 2198) is unwrapped: its primary block is forwarded under that block's payload type, and earlier blocks fill
    gaps right before it.
    """

    codec: Codec
    clock_rate: int
    repairs: int | None = None


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An incoming SSRC of a peer. `rtx_ssrc` is its repair stream's; both SSRCs lead to this entry."""

    stream: int
    peer: int
    ssrc: int
    payloads: Mapping[int, Payload]
    rtx_ssrc: int | None = None
    cache_packets: int = 1024


@dataclass(frozen=True, slots=True)
class RouteSource:
    """A source of a route: the stream, its first frame, and the mapping of its timestamps.

    `timestamp_offset` is added to RTP timestamps (mod 2**32); None lets the engine continue the route's outgoing
    timestamps by the elapsed arrival time. An offset that would make them go back is raised until they do not. With
    `at_keyframe` the switch waits for a keyframe of the stream (video); without, it happens at the next packet (audio).
    Layers above `max_temporal` and `max_spatial` are filtered out. A source of the stream that the route already
    carries changes the layers only: timestamps and numbering continue.

    `once_flowing`, which needs `at_keyframe` and an offset, keeps the current source, while it flows, until the frame
    after the keyframe begins: a large keyframe takes long on a slow uplink, and an encoder that has spent a small
    layer's budget on one may pause that layer. The keyframe is then sent from the cache, completely if it can be
    repaired in time, with its timestamp raised as above.
    Timestamps of later frames are raised only as far as necessary.

    With `reach` the route begins in the past if it can: with the stream's newest keyframe, if that arrived less than
    `reach` nanoseconds before the newest packet, all packets since are in the cache, and the destination's budget
    allows sending them within a second. They are sent when the next packet arrives. Without an offset, the timestamps
    of past frames are a tick apart. With one, a keyframe whose timestamp would have to be raised is not used, since
    later pictures of the track have been shown. Packets from before a time without permission are never used.
    """

    stream: int
    timestamp_offset: int | None = None
    at_keyframe: bool = True
    max_temporal: int = 255
    max_spatial: int = 255
    once_flowing: bool = False
    reach: int = 0


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One outgoing stream: its destination, SSRC, payload types and source.

    `payload_types` maps the source's payload type to the destination's; a source payload type without an entry is
    dropped as UNMAPPED_PAYLOAD_TYPE. `rtx_payload_types` maps a destination payload type to its RTX one. `mid` is
    written into the MID extension if the peer has one. `first_seq` must be below 2**15. If the peer's keys have already
    protected packets of the SSRC, numbering continues after those, since no packet index may ever be used twice.
    """

    route: int
    peer: int
    ssrc: int
    payload_types: Mapping[int, int]
    first_seq: int
    first_timestamp: int = 0
    rtx_ssrc: int | None = None
    rtx_payload_types: Mapping[int, int] = field(default_factory=dict)
    mid: str = ""
    is_audio: bool = False


class RouteState(NamedTuple):
    """The state of a route for sender reports (RFC 3550, 6.4.1) and statistics.

    `stream` is -1 before the first switch. `octets` counts payload bytes. `last_timestamp` is the outgoing RTP
    timestamp of the newest packet, `last_arrival` the arrival time of its original. `waiting` packets are numbered and
    wait for the peer's budget.
    """

    stream: int
    timestamp_offset: int
    packets: int
    octets: int
    last_seq: int
    last_timestamp: int
    last_arrival: int
    retransmitted: int
    waiting: int


class Progress(Received, Voice, Protocol):
    """The progress of an incoming stream: live figures, which remain when the stream leaves the table.

    `packets` counts arrivals, including repairs but not duplicates, and `received` those without repairs, from ext_seq
    `first` to `highest`. `jitter` is RFC 3550's, in clock units. `frames` counts RTP timestamps; `timestamp` is the
    newest (-1 before any), which first arrived at `timestamp_at`, and `timestamp_before` the one before it.
    `after_keyframe` is true if no frame has arrived since the newest keyframe. `last_arrival` is the arrival time of
    the newest packet. Rates leave out padding; they are those of the window that ended at `measured_at`, 0 if it
    contains a pause. `temporal_layers` are those of its packets, 1 for a stream without any. `oversize` counts packets
    of more than `OVERSIZE_BYTES`; `largest` is the size of the largest. The remaining fields concern audio levels; see
    `sfu.machines.loudness`.
    """

    @property
    def packets(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def timestamp_before(self) -> int: ...
    @property
    def timestamp_at(self) -> int: ...
    @property
    def after_keyframe(self) -> bool: ...
    @property
    def last_arrival(self) -> int: ...
    @property
    def measured_at(self) -> int: ...
    @property
    def bits_per_second(self) -> float: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def temporal_layers(self) -> int: ...
    @property
    def oversize(self) -> int: ...
    @property
    def largest(self) -> int: ...


class Engine(Protocol):
    """Executes the table. Unknown ids raise KeyError; an entry replaces an earlier one of the same id completely.

    Order: new packets of a stream leave on each of its routes in order of arrival, however a fan-out is sliced; late
    packets and repairs leave when they arrive. No order is guaranteed between streams, or between destinations.
    Transport-wide seqs and send times are stamped as packets are sent, and increase in that order within a peer.
    """

    name: str

    def set_peer(self, entry: PeerEntry) -> None:
        """Add a peer, or change its extension ids."""

    def set_keys(self, peer: int, keys: SrtpKeys) -> None:
        """Install the peer's SRTP keys, which replace earlier ones and their replay windows. Raises ValueError for a
        wrong length.
        """

    def set_unprotected(self, peer: int) -> None:
        """Exchange plain RTP and RTCP (RFC 3550) with the peer, as agreed on elsewhere, without keys."""

    def set_address(self, peer: int, destination: Address, local: int) -> None:
        """Send to the peer from socket `local` to `destination`, the 5-tuple that ICE selected."""

    def answer_checks(self, peer: int, check: ConsentCheck | None) -> None:
        """Answer repetitions of a check from the address to which the peer's media goes; others are left to policy.

        Raises ValueError if the check is too long (`sfu.engine.checks`).
        """

    def checked_at(self, peer: int) -> int:
        """Return the arrival time of the newest check answered since `answer_checks`, 0 if there was none."""

    def admit_source(self, peer: int, source: Address, local: int) -> None:
        """Attribute datagrams from `source`, which ICE has validated, on socket `local` to the peer."""

    def dismiss_source(self, source: Address, local: int) -> None:
        """Undo `admit_source`."""

    def admit_any(self, peer: int, local: int) -> None:
        """Attribute datagrams from other sources on socket `local`, which is the peer's own, to the peer."""

    def dismiss_any(self, local: int) -> None:
        """Undo `admit_any`."""

    def remove_peer(self, peer: int) -> None:
        """Remove the peer, its sources, its streams, and the routes to it."""

    def add_stream(self, entry: StreamEntry) -> None:
        """Register an incoming SSRC. Raises ValueError if the peer already has that SSRC under another stream."""

    def remove_stream(self, stream: int) -> None:
        """Remove a stream and its cache, and detach it from routes and sinks."""

    def progress(self, stream: int) -> Progress:
        """Return the stream's live figures."""

    def set_permitted(self, stream: int, permitted: bool) -> None:
        """Let packets of the stream pass, or drop them as NOT_PERMITTED (muted by a host, not granted)."""

    def set_playout_delay(self, stream: int, delay: int | None) -> None:
        """Have receivers show the pictures of a stream no sooner than `delay` ns after they have arrived; None says
        nothing. Sound has no such delay.

        Packets with a playout delay of their publisher's keep that. A keyframe that would have none says 0, since its
        receiver may have seen another stream before, and keeps what that said.
        """

    def set_peer_playout_delay(self, peer: int, delay: int | None) -> None:
        """Have the peer show pictures no sooner than `delay` ns after they have arrived, whatever their streams; None
        says nothing. Of two such delays, the longer one counts.

        It concerns routes with RTX. Those without send a packet again under its number, so that its bytes must stay.
        """

    def set_shed(self, stream: int, shed: bool) -> None:
        """Drop packets of the stream unread, as SHED, or stop doing so.

        Packets that we lost ourselves (these, and those dropped by a socket) are not requested, and should not be
        requested from us: the first packet after them is an OVERFLOWED arrival, and routes leave out one number for all
        packets missing before it.
        """

    def set_route(self, entry: RouteEntry) -> None:
        """Add an outgoing stream; it carries nothing until `switch_route`."""

    def switch_route(self, route: int, pending: RouteSource | None) -> bool:
        """Make `pending` the route's next source. None stops the route at once; its numbering continues later.

        Return True if the keyframe with which the route begins is in the cache, so that none need be requested.

        Packets of a stopped route that wait for the peer's budget are dropped. Their numbers are reused, except one, so
        that the receiver sees a gap.
        """

    def remove_route(self, route: int) -> None: ...

    def route_state(self, route: int) -> RouteState: ...

    def payload(self, stream: int, ext_seq: int) -> tuple[int, bytes] | None:
        """Return a packet's payload type and its payload without padding; None if it is not held, or nobody gets it."""

    def add_sink_route(self, stream: int, sink: int, handle: int) -> None:
        """Copy the stream's packets, from the next one on, to a sink under `handle`."""

    def remove_sink_route(self, stream: int, sink: int) -> None: ...

    def set_budget(self, peer: int, bits_per_second: int | None) -> None:
        """Pace the peer; None sends at once. Packets beyond the budget wait in the peer's queue for `release`."""

    def copy_audio(self, peer: int, copies: int) -> None:
        """Send each of the peer's audio packets again with the next one, and with the one after it if `copies` is 2; 0
        stops it. Packets that arrived over 100 ms ago are not sent again, since their time has passed.
        """

    def is_audio(self, datagram: Datagram) -> bool:
        """Return True if a datagram looks like RTP of a registered audio stream (unverified); the pump puts such
        first.
        """

    def process(self, batch: Sequence[Datagram], now: int) -> Result:
        """Run a batch through the table. All of it is received first, then forwarded stream by stream, in the order of
        each stream's first packet, and within a stream route by route, so that a destination's packets form a run.
        """

    def resubmit(self, leftovers: Sequence[Leftover], now: int) -> Result:
        """Process UNKNOWN_SSRC leftovers again, now that policy may have registered their stream, or EARLY ones, now
        that the peer has keys. They are counted as received only once.

        An engine that does its own output forwards them with the datagrams that it reads next.
        """

    def retransmit(self, peer: int, ssrc: int, seqs: Iterable[int], now: int, min_interval: int) -> list[Outgoing]:
        """Answer a NACK for outgoing `ssrc` with RTX (RFC 4588), or if that was not negotiated with the same packet.

        A seq retransmitted less than `min_interval` ns ago is not repeated. Unknown ones are counted and skipped.
        """

    def protect_rtcp(self, peer: int, compound: bytes) -> list[Outgoing]:
        """Protect an RTCP compound packet for the peer; return one datagram, or none before keys and address are
        set.
        """

    def acknowledge(self, peer: int, ssrc: int) -> None:
        """Acknowledge the peer's packets with transport-wide feedback, sent as `ssrc`, from now on."""

    def hide_queue(self, peer: int, hides: bool) -> None:
        """Hide the queue on the way from the peer in its transport-wide feedback, or show it again; see
        `sfu.machines.congestion.uplink_delay`.
        """

    def take_uplinks(self) -> list[tuple[int, UplinkWindow]]:
        """Return, by peer, the windows of feedback since the last call in which packets waited on their way."""

    def leave_strays(self, limit: int) -> None:
        """Leave up to this many STRAY datagrams of a batch to policy (default none); the others are dropped."""

    def spare_silence(self, spares: bool) -> None:
        """Forward no sound of streams that tell levels and in which nobody has spoken for `route.SILENCE`, to save
        time. Nothing is missing from the numbering, and sinks get all of it.
        """

    def pace_feedback(self, pace: int) -> None:
        """Send feedback only every `pace` intervals, to save time."""

    def feedback(self, now: int) -> list[Outgoing]:
        """Return the transport-wide feedback that is due by `now`; see `sfu.machines.repair.twcc_receiver`."""

    def next_feedback(self) -> int | None:
        """Return when `feedback` has work next, or None."""

    def release(self, now: int) -> list[Outgoing]:
        """Return the packets that pacing releases by `now`."""

    def next_release(self) -> int | None:
        """Return when `release` has work next, or None."""

    def last_activity(self, peer: int) -> int:
        """Return the arrival time of the peer's newest authenticated packet, 0 before any."""

    @property
    def drops(self) -> Mapping[Drop, int]:
        """The packets dropped since the start, by reason."""

    @property
    def packets_in(self) -> int:
        """The number of new packets of registered streams since the start."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since the start: datagrams_in, bytes_in, datagrams_out, bytes_out, forwarded, retransmitted, and
        packets recovered from RED."""
