"""A subscribe peer whose descriptions name the tracks in its slots, for clients that identify tracks by them.

Every track has a slot, audio too. A slot that became free is offered as inactive. Only after the answer may it show
another track, as another stream: a browser reports a track to its page when its section begins to be received.
"""

from collections.abc import Sequence
from typing import Protocol

from sfu.formats.sdp import Msid
from sfu.machines.negotiation.subscribe import OfferedSlot
from sfu.peers.context import Context, random_ssrc
from sfu.peers.data_channels import Labels
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.slot_assignment import Wish
from sfu.peers.subscribe.subscription import Candidate, SubscribeOffer, Subscription

_COALESCE_NS = 20_000_000  # nothing is shown before it has been offered


class NameTrack(Protocol):
    """Returns the msid under which a track is shown; `again`: the section has shown another track before."""

    def __call__(self, uptrack: UpTrack, *, again: bool) -> Msid: ...


class DescribedSubscription(Subscription):
    """`name` returns the msid under which a track is shown."""

    is_named = True

    def __init__(self, context: Context, now: int, name: NameTrack, labels: Labels) -> None:
        self._name = name
        self._labels = labels
        self._used: set[str] = set()
        self._shown_before: set[str] = set()
        self._offered_free: set[str] = set()
        super().__init__(context, now)

    def _begin(self, now: int) -> None:
        self._negotiation.add_data()
        self.subscribe_peer.open_data(self._labels)

    def _want_offer(self, now: int) -> None:
        if self._offer_at is None:
            self._offer_at = now + _COALESCE_NS

    @property
    def most_sounds(self) -> int:
        """The number of sounds that can be shown at once: each gets a section of its own."""
        return self._context.limits.video_slots

    def update(self, audio: Sequence[Candidate], video: Sequence[Candidate], now: int) -> bool:
        """Show these tracks, most important first; return whether the map of slots changed."""
        changed = self._show(self._audio, "audio", audio, now)
        changed = self._show(self._video, "video", video, now) or changed
        if self._negotiation.changed:
            self._want_offer(now)
        return changed

    def _show(self, slots: list[OfferedSlot], kind: str, candidates: Sequence[Candidate], now: int) -> bool:
        by_wish = {entry.wish: entry for entry in candidates[: self._context.limits.video_slots]}
        downtracks = self.subscribe_peer.downtracks
        changed = False
        for slot in slots:
            downtrack = downtracks[slot.mid]
            if downtrack.wish is None:
                continue
            entry = by_wish.pop(downtrack.wish, None)
            if entry is None:
                downtrack.clear()
                self._negotiation.name(slot.mid, None)
                changed = True
            elif entry.uptrack is not downtrack.uptrack:
                downtrack.show(*entry[:3], now)
                changed = True
            else:
                downtrack.wanted = entry.wanted
                if kind == "audio" and downtrack.wanted.hidden and not downtrack.paused:
                    downtrack.pause()
                elif kind == "audio" and downtrack.paused and not downtrack.wanted.hidden:
                    downtrack.resume(now)
        for entry in by_wish.values():
            mid = self._free(slots, kind, now)
            if mid is None:
                self._context.counters["tracks_without_slot"] += 1
                continue
            again = mid in self._shown_before
            if again:
                rtx = random_ssrc() if kind == "video" else None
                self.subscribe_peer.replace(self._negotiation.renew_slot(mid, random_ssrc(), rtx), now)
            self._used.add(mid)
            self._shown_before.add(mid)
            self._negotiation.name(mid, self._name(entry.uptrack, again=again))
            downtracks[mid].show(*entry[:3], now)
            changed = True
        return changed

    def _free(self, slots: list[OfferedSlot], kind: str, now: int) -> str | None:
        """Return a slot for a track: a free one, else a new one; None if there are too many."""
        for slot in slots:
            if slot.mid not in self._used:
                return slot.mid
        try:
            self._add_slot(kind, now)
        except ValueError:
            return None
        return slots[-1].mid

    def take_offer(self, now: int) -> SubscribeOffer | None:
        """Return the offer to send now, if one is due and none is in flight."""
        offer = super().take_offer(now)
        if offer is not None:
            free = (slot.mid for slot in self._negotiation.slots if slot.shows is None)
            self._offered_free = {mid for mid in free if self._wish_of(mid) is None}
        return offer

    def answer(self, offer_id: int, sdp: str, now: int) -> bool:
        """Take an answer; return False if it answers no offer in flight. Raises ValueError if it does not fit the
        offer.
        """
        expected = super().answer(offer_id, sdp, now)
        if expected:
            self._used -= self._offered_free
            self._offered_free = set()
        return expected

    def _wish_of(self, mid: str) -> Wish | None:
        return self.subscribe_peer.downtracks[mid].wish
