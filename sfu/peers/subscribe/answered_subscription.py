"""A subscription whose client makes the offers; tracks are shown on the m-sections on which it only receives.

If there are too few sections, or their tracks have changed, the client is asked for another offer, with enough
sections. A section that became free is answered as inactive once before it shows another track, as another stream: a
browser reports a track to its page when its section begins to be received.

A picture becomes another stream, too, when the client offers its section with other codec parameters. libwebrtc then
makes its receiver anew, and if a packet arrives at that moment, the receiver never passes on a picture again.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sfu.api.signaling_values import Slot
from sfu.formats.codecs import Codec
from sfu.formats.sdp import FormatParameters, Msid
from sfu.machines.negotiation.agreement import Negotiated
from sfu.machines.negotiation.playback import PlaybackStream
from sfu.machines.negotiation.subscribe import OfferedSlot
from sfu.peers.context import Context, random_ssrc
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.slot_assignment import Wish
from sfu.peers.subscribe.subscribe_peer import SubscribePeer, encoding_of
from sfu.peers.subscribe.subscription import Candidate, Requirement, SubscribeOffer, Subscription

_COALESCE_NS = 20_000_000  # nothing is shown before it has been answered
_KINDS = ("audio", "video")


class NameTrack(Protocol):
    """Returns the msid under which a track is shown; `again`: the client may know the section by another one."""

    def __call__(self, uptrack: UpTrack, *, again: bool) -> Msid: ...


@dataclass(slots=True)
class _Section:
    """A section of the client's offers; it `rests` from being cleared until that has been answered."""

    kind: str
    parameters: tuple[FormatParameters, ...] = ()
    slot: OfferedSlot | None = None
    shows: Msid | None = None
    rests: bool = False


class ReceivingSection(NamedTuple):
    """A section on which a client's offer receives."""

    kind: str
    parameters: tuple[FormatParameters, ...]


class AnsweredSubscription(Subscription):
    """The subscription of a peer that also publishes."""

    def __init__(self, context: Context, now: int, subscribe_peer: SubscribePeer, name: NameTrack) -> None:
        self._name = name
        self._sections: dict[str, _Section] = {}
        self._waiting: dict[Wish, Candidate] = {}
        self._codecs: AbstractSet[Codec] | None = None
        self._is_asked = False
        super().__init__(context, now, subscribe_peer)

    def _begin(self, now: int) -> None:
        """Wait for tracks, since the client has made its first offer, or is about to."""
        self._offer_at = None

    @property
    def most_sounds(self) -> int:
        """The number of sounds that can be shown at once: each gets a section of its own."""
        return self._context.limits.video_slots

    def update(self, audio: Sequence[Candidate], video: Sequence[Candidate], now: int) -> bool:
        """Show these tracks, most important first; return whether the map of slots changed."""
        most = self._context.limits.video_slots
        by_wish = {entry.wish: entry for entries in (audio, video) for entry in entries[:most]}
        changed = False
        for mid, section in self._sections.items():
            if section.shows is not None:
                changed = self._keep(mid, section, by_wish, now) or changed
        before = self._waiting.keys()
        self._waiting = by_wish
        if changed or by_wish.keys() - before:
            self._ask(now)
        return changed

    def _keep(self, mid: str, section: _Section, by_wish: dict[Wish, Candidate], now: int) -> bool:
        """Keep a section's track, taking it from `by_wish`, or free the section; return whether anything changed."""
        downtrack = self.subscribe_peer.downtracks[mid]
        entry = by_wish.pop(downtrack.wish, None) if downtrack.wish is not None else None
        if entry is None:
            downtrack.clear()
            section.shows, section.rests = None, True
            return True
        if entry.uptrack is not downtrack.uptrack:
            downtrack.show(*entry[:3], now)
            return True
        downtrack.wanted = entry.wanted
        if section.kind == "audio" and downtrack.wanted.hidden and not downtrack.paused:
            downtrack.pause()
        elif section.kind == "audio" and downtrack.paused and not downtrack.wanted.hidden:
            downtrack.resume(now)
        return False

    def _ask(self, now: int) -> None:
        if self._offer_at is None:
            self._offer_at = now + _COALESCE_NS

    def place(self, sections: Mapping[str, ReceivingSection], now: int) -> dict[str, PlaybackStream]:
        """Take the sections, by mid, on which an offer receives; return their part of the answer.

        Sections that no longer receive show nothing.
        """
        for mid, section in self._sections.items():
            if mid not in sections and section.shows is not None:
                self.subscribe_peer.downtracks[mid].clear()
                section.shows, section.rests = None, True
        for mid, offered in sections.items():
            section = self._sections.setdefault(mid, _Section(offered.kind))
            changed, section.parameters = section.parameters != offered.parameters, offered.parameters
            if changed and section.kind == "video" and section.shows is not None:
                self._renew(mid, section, now)
        for wish, entry in list(self._waiting.items()):
            kind = entry.uptrack.media.kind
            free = next((mid for mid in sections if _is_free(self._sections[mid], kind)), None)
            if free is not None:
                del self._waiting[wish]
                self._show(free, self._sections[free], entry, now)
        self._is_asked = False
        self._offer_at = None
        return {
            mid: PlaybackStream(section.kind, section.shows.stream, slot.ssrc, slot.rtx_ssrc, section.shows.track or "")
            for mid, section in self._sections.items()
            if section.shows is not None and (slot := section.slot) is not None
        }

    def _show(self, mid: str, section: _Section, entry: Candidate, now: int) -> None:
        self._send(mid, section, entry, now)
        section.shows = self._name(entry.uptrack, again=True)

    def _renew(self, mid: str, section: _Section, now: int) -> None:
        """Show the same track as another stream."""
        before = self.subscribe_peer.downtracks[mid]
        if before.uptrack is not None and before.publisher is not None and before.wish is not None:
            self._context.counters["streams_renewed"] += 1
            self._send(mid, section, Candidate(before.uptrack, before.publisher, before.wanted, before.wish), now)

    def _send(self, mid: str, section: _Section, entry: Candidate, now: int) -> None:
        number = section.slot.number if section.slot else sum(one.slot is not None for one in self._sections.values())
        slot = OfferedSlot(mid, section.kind, number, random_ssrc(), random_ssrc() if section.kind == "video" else None)
        add = self.subscribe_peer.add if section.slot is None else self.subscribe_peer.replace
        add(slot, now).show(*entry[:3], now)
        section.slot = slot

    def agree(self, answer: Negotiated, now: int) -> None:
        """Begin to send according to the answer to an offer."""
        for media in answer.media:
            section = self._sections.get(media.mid)
            if section is not None and section.shows is None:
                section.rests = False
            if section is not None and section.kind == "video" and media.accepted:
                self._codecs = encoding_of(media).payload_types.keys()
        self.subscribe_peer.agree_slots(answer.media, now)
        if self._waiting and any(self._lacking()):
            self._ask(now)

    def _lacking(self) -> Requirement:
        wanted = [entry.uptrack.media.kind for entry in self._waiting.values()]
        free = [section.kind for section in self._sections.values() if section.shows is None and not section.rests]
        return Requirement(*(max(wanted.count(kind) - free.count(kind), 0) for kind in _KINDS))

    def take_requirement(self, now: int) -> Requirement | None:
        """Return the sections to ask the client for, when due and until it has made an offer."""
        if self._is_asked or self._offer_at is None or now < self._offer_at:
            return None
        self._offer_at = None
        self._is_asked = True
        return self._lacking()

    def slots(self) -> list[Slot]:
        """Return the map of the sections that have shown a track."""
        shown = ((mid, self.subscribe_peer.downtracks[mid].wish) for mid, one in self._sections.items() if one.slot)
        return [Slot(mid=mid, track=wish.track if wish else None) for mid, wish in shown]

    def video_codecs(self) -> AbstractSet[Codec] | None:
        """Return the codecs that the subscriber decodes, None before its first offer."""
        return self._codecs

    def take_offer(self, now: int) -> SubscribeOffer | None:
        """Return None, since the client makes the offers."""
        return None

    def answer(self, offer_id: int, sdp: str, now: int) -> bool:
        """Return False, since the client never answers."""
        return False

    def offer_due(self) -> int | None:
        """Return when `take_requirement` has a requirement."""
        return None if self._is_asked else self._offer_at


def _is_free(section: _Section, kind: str) -> bool:
    return section.kind == kind and section.shows is None and not section.rests
