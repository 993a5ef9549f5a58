"""A WHEP player's peer: the m-sections of its offer are the slots, and without signaling they can be neither added nor
named.
"""

import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sfu.formats.codecs import Codec
from sfu.machines.negotiation.agreement import Negotiated
from sfu.machines.negotiation.playback import PlaybackNegotiation, PlaybackStream
from sfu.machines.negotiation.subscribe import OfferedSlot
from sfu.peers.context import Context, random_ssrc
from sfu.peers.layers.layer_options import ALL_LAYERS, ONE_LAYER, Layer
from sfu.peers.subscribe.slot_assignment import assign
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.peers.subscribe.subscription import Candidate

_MAX_PER_KIND = 8


class Encoding(NamedTuple):
    """One of a track's streams; `encoding` is its rid, "" if there is only one. `layers` counts its layers."""

    encoding: str
    bits_per_second: int
    is_active: bool
    is_shown: bool
    layers: Layer = ONE_LAYER


class WhepPlayer:
    """One WHEP peer and what it shows."""

    def __init__(self, context: Context, now: int) -> None:
        self.subscribe_peer = SubscribePeer(context, now)
        self._context = context
        self._slots: dict[str, list[OfferedSlot]] = {"audio": [], "video": []}

    def answer(self, offer: str, codec: Codec | None, now: int) -> Negotiated:
        """Return the answer to the player's offer; raises ValueError if it cannot be answered.

        With `codec`, video is accepted in that codec only, even if more were offered.
        """
        streams = [
            PlaybackStream(kind, f"slot-{number}", random_ssrc(), random_ssrc() if kind == "video" else None)
            for number in range(_MAX_PER_KIND)
            for kind in ("audio", "video")
        ]
        codecs = frozenset(entry for entry in Codec if codec is None or entry.is_audio or entry in (codec, Codec.RTX))
        negotiation = PlaybackNegotiation(secrets.randbits(62))
        agreed = negotiation.answer(
            offer, self.subscribe_peer.negotiated.local(self._context.candidates), streams, codecs
        )
        for section in agreed.media:
            if section.accepted and section.direction.sends and section.streams:
                slots = self._slots[section.kind]
                placed = section.streams[0]
                slot = OfferedSlot(section.mid, section.kind, len(slots), placed.ssrc, placed.rtx_ssrc)
                slots.append(slot)
                self.subscribe_peer.add(slot, now)
        self.subscribe_peer.agree(agreed, now)
        return agreed

    def update(self, audio: Sequence[Candidate], video: Sequence[Candidate], now: int) -> None:
        """Show these tracks, most important first, as far as the player has m-sections for them."""
        for kind, candidates in (("audio", audio), ("video", video)):
            downtracks = [self.subscribe_peer.downtracks[slot.mid] for slot in self._slots[kind]]
            usable = [entry for entry in candidates if all(track.can_carry(entry.uptrack) for track in downtracks)]
            by_wish = {entry.wish: entry for entry in usable}
            held = [track.wish for track in downtracks]
            for downtrack, after in zip(downtracks, assign(held, list(by_wish), {}).slots, strict=True):
                if after is None:
                    downtrack.clear()
                elif by_wish[after].uptrack is not downtrack.uptrack:
                    downtrack.show(*by_wish[after][:3], now)

    @property
    def most_sounds(self) -> int:
        """The number of sounds that can be shown at once; it may be unable to decode some."""
        return self._context.limits.video_slots

    def video_codecs(self) -> AbstractSet[Codec] | None:
        """Return the video codecs that the player decodes, None if it takes no video."""
        for slot in self._slots["video"]:
            encoding = self.subscribe_peer.downtracks[slot.mid].encoding
            if encoding is not None:
                return encoding.payload_types.keys()
        return None

    def select(self, mid: str | None, encoding: str | None, now: int, highest: Layer = ALL_LAYERS) -> None:
        """Show this encoding (rid) on a video section, by default the first; None leaves the choice to the sfu again.

        No layer beyond `highest` is shown. Raises LookupError, which names what does not exist: "media" or "encoding".
        """
        slots = self._slots["video"]
        slot = next((entry for entry in slots if mid in (None, entry.mid)), None)
        if slot is None:
            raise LookupError("media")
        downtrack = self.subscribe_peer.downtracks[slot.mid]
        shown = downtrack.uptrack.streams if downtrack.uptrack is not None else ()
        if encoding is not None and encoding not in {stream.rid for stream in shown}:
            raise LookupError("encoding")
        downtrack.wanted_rid = encoding
        downtrack.wanted_layer = highest
        downtrack.choose(now)

    def layers(self, now: int) -> dict[str, list[Encoding]]:
        """Return the available encodings, by m-section, of each video that has several."""
        found: dict[str, list[Encoding]] = {}
        for slot in self._slots["video"]:
            downtrack = self.subscribe_peer.downtracks[slot.mid]
            if downtrack.uptrack is not None:
                found[slot.mid] = [
                    Encoding(
                        stream.rid,
                        int(stream.bits_per_second),
                        stream.active(now),
                        stream is downtrack.stream,
                        downtrack.uptrack.layers,
                    )
                    for stream in downtrack.uptrack.streams
                ]
        return found

    def shows(self) -> frozenset[str]:
        """Return the m-sections that show something."""
        return frozenset(
            mid for mid, downtrack in self.subscribe_peer.downtracks.items() if downtrack.uptrack is not None
        )

    def timer(self) -> int | None:
        return self.subscribe_peer.timer()
