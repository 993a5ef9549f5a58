"""A participant's subscribe peer: turns wishes into slots and slots into offers, one in flight, with changes coalesced.

The first offer goes out at once, so that joining is fast; later ones wait up to 100 ms for further changes. Pointing an
existing slot at another track needs no SDP and happens immediately.
"""

import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sfu.api.signaling_values import Slot, WantedTrack
from sfu.formats.codecs import Codec
from sfu.machines.negotiation.subscribe import OfferedSlot, SubscribeNegotiation
from sfu.peers.context import Context, random_ssrc
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.slot_assignment import Wish, assign
from sfu.peers.subscribe.subscribe_peer import SubscribePeer

_COALESCE_NS = 100_000_000


class Candidate(NamedTuple):
    """A track that the subscriber should get, with its publisher and the subscriber's wish."""

    uptrack: UpTrack
    publisher: PublishPeer
    wanted: WantedTrack
    wish: Wish


class SubscribeOffer(NamedTuple):
    """An offer to send; the answer must echo `id`."""

    id: int
    sdp: str


class Requirement(NamedTuple):
    """The sections to add to the client's next offer, if the client makes the offers."""

    audio: int
    video: int


class Subscription:
    """One subscribe peer and what it shows."""

    is_named = False
    """True if descriptions name the track in each slot."""

    def __init__(self, context: Context, now: int, subscribe_peer: SubscribePeer | None = None) -> None:
        self.subscribe_peer = subscribe_peer or SubscribePeer(context, now)
        self.offer_in_flight: SubscribeOffer | None = None
        self._context = context
        self._negotiation = SubscribeNegotiation(secrets.randbits(62), named=self.is_named)
        self._audio: list[OfferedSlot] = []
        self._video: list[OfferedSlot] = []
        self._offer_at: int | None = now
        self._offers = 0
        self._begin(now)

    def _begin(self, now: int) -> None:
        """Prepare the first offer."""
        for _ in range(self._context.limits.audio_slots):
            self._add_slot("audio", now)
        self._negotiation.add_data()
        self.subscribe_peer.open_data()

    def _add_slot(self, kind: str, now: int) -> None:
        rtx = random_ssrc() if kind == "video" else None
        slot = self._negotiation.add_slot(kind, random_ssrc(), rtx)
        (self._audio if kind == "audio" else self._video).append(slot)
        self.subscribe_peer.add(slot, now)

    def update(self, audio: Sequence[Candidate], video: Sequence[Candidate], now: int) -> bool:
        """Show these tracks, most important first; return whether the map of slots changed."""
        room = self._context.limits.video_slots
        for _ in range(min(len(video), room) - len(self._video)):
            self._add_slot("video", now)
            self._want_offer(now)
        changed = self._update_kind(self._audio, audio, self._video, now)
        return self._update_kind(self._video, video, self._audio, now) or changed

    def _want_offer(self, now: int) -> None:
        """Plan an offer soon."""
        if self._offer_at is None:
            self._offer_at = now + _COALESCE_NS

    def _update_kind(
        self, slots: Sequence[OfferedSlot], candidates: Sequence[Candidate], others: Sequence[OfferedSlot], now: int
    ) -> bool:
        by_wish = {entry.wish: entry for entry in candidates[: len(slots)]}
        downtracks = [self.subscribe_peer.downtracks[slot.mid] for slot in slots]
        held = [downtrack.wish for downtrack in downtracks]
        if by_wish.keys() == {wish for wish in held if wish is not None}:
            assigned: Sequence[Wish | None] = held
        else:
            shown = (self.subscribe_peer.downtracks[slot.mid].wish for slot in others)
            neighbours = {number: wish.participant for number, wish in enumerate(shown) if wish is not None}
            assigned = assign(held, list(by_wish), neighbours).slots
        changed = False
        for downtrack, after in zip(downtracks, assigned, strict=True):
            if after == downtrack.wish:
                if after is None:
                    continue
                if by_wish[after].uptrack is downtrack.uptrack:
                    downtrack.wanted = by_wish[after].wanted
                    continue
            changed = True
            if after is None:
                downtrack.clear()
            else:
                downtrack.show(*by_wish[after][:3], now)
        return changed

    def slots(self) -> list[Slot]:
        """Return the map of all slots."""
        shown = []
        for slot in self._negotiation.slots:
            wish = self.subscribe_peer.downtracks[slot.mid].wish
            shown.append(Slot(mid=slot.mid, track=wish.track if wish else None))
        return shown

    @property
    def most_sounds(self) -> int:
        """The number of sounds that can be shown at once."""
        return len(self._audio)

    def video_codecs(self) -> AbstractSet[Codec] | None:
        """Return the codecs that the subscriber decodes, None before its first answer."""
        for slot in self._video:
            encoding = self.subscribe_peer.downtracks[slot.mid].encoding
            if encoding is not None:
                return encoding.payload_types.keys()
        return None

    def take_offer(self, now: int) -> SubscribeOffer | None:
        """Return the offer to send now, if one is due and none is in flight."""
        if self.offer_in_flight is not None or self._offer_at is None or now < self._offer_at:
            return None
        self._offer_at = None
        self._offers += 1
        sdp = self._negotiation.offer(self.subscribe_peer.negotiated.local(self._context.candidates))
        self.offer_in_flight = SubscribeOffer(self._offers, sdp)
        return self.offer_in_flight

    def answer(self, offer_id: int, sdp: str, now: int) -> bool:
        """Take an answer; return False if it answers no offer in flight. Raises ValueError if it does not fit the
        offer.
        """
        if self.offer_in_flight is None or self.offer_in_flight.id != offer_id:
            return False
        agreed = self._negotiation.apply(sdp)
        self.offer_in_flight = None
        self.subscribe_peer.agree(agreed, now)
        return True

    def take_requirement(self, now: int) -> Requirement | None:
        """Return the sections to ask the client for; None if there are none, or if it makes no offers."""
        return None

    def offer_due(self) -> int | None:
        """Return when `take_offer` has an offer next; None if there is nothing to offer, or one is in flight."""
        return self._offer_at if self.offer_in_flight is None else None
