"""Mapping of a publish peer's SSRCs to uptracks and layers.

Streams are identified by the description (a=ssrc, with FID for RTX), or by the mid and rid that packets of an unknown
SSRC carry (RFC 9143, RFC 8852), or else by a payload type that only one section uses. Browsers omit mid and rid once a
report has named an SSRC, and use it again when its section is, so what an SSRC has said holds for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfu.api.join_token import Source
from sfu.engine.contract import Drop, Leftover, Payload, StreamEntry
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.keyframes import keyframe_size
from sfu.formats.rtp import RtpHeader, parse_header
from sfu.machines.negotiation.agreement import NegotiatedMedia
from sfu.machines.repair.thin_uplink import ThinUplink
from sfu.peers.context import Context
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.nack_round_trip import NackRoundTrip
from sfu.peers.publish.uptrack import UpTrack

_AUDIO_CACHE = 256
_VIDEO_CACHE = 1024
_FLOWING_NS = 1_000_000_000
_SAID_A_STREAM = 4
"""The number of SSRCs that are remembered for each stream that a peer may have at once."""


class IngressRegistry:
    """The streams of one publish peer, by engine id and by SSRC. `uplink` is what their packets cross."""

    def __init__(self, context: Context, peer: int, max_streams: int) -> None:
        self.streams: dict[int, IngressStream] = {}
        self.uplink = ThinUplink()
        self._context = context
        self._peer = peer
        self._max_streams = max_streams
        self.nack_round_trip = NackRoundTrip()
        self._playout_delay: int | None = None
        self._entries: dict[int, StreamEntry] = {}
        self._uptracks: dict[int, UpTrack] = {}
        self._sections: Mapping[str, UpTrack] = {}
        self._extensions: dict[int, Extension] = {}
        self._said: dict[int, dict[Extension, str]] = {}
        """The mid and rid of each SSRC that was learned, those of streams that have ended too."""

    def uptrack_of(self, stream: int) -> UpTrack | None:
        return self._uptracks.get(stream)

    def by_ssrc(self, ssrc: int) -> IngressStream | None:
        return next((stream for stream in self.streams.values() if stream.ssrc == ssrc), None)

    def set_media(self, media: Sequence[NegotiatedMedia], sections: Mapping[str, UpTrack]) -> None:
        """Take an offer's agreed sections and register the streams that it names. `sections` is by mid, and is kept."""
        self._sections = sections
        self._extensions = {number: ext for section in media for number, ext in section.extensions.items()}
        for section in media:
            uptrack = sections.get(section.mid)
            if uptrack is None or section.rids:
                continue
            for offered in section.streams:
                known = self._entry_of(offered.ssrc)
                if known is None:
                    self.register(uptrack, offered.ssrc, "", offered.rtx_ssrc)

    def _entry_of(self, ssrc: int) -> StreamEntry | None:
        return next((entry for entry in self._entries.values() if ssrc in (entry.ssrc, entry.rtx_ssrc)), None)

    def register(self, uptrack: UpTrack, ssrc: int, rid: str, rtx_ssrc: int | None) -> IngressStream | None:
        """Register a stream of an uptrack; return None if there are too many."""
        if len(self._entries) >= self._max_streams:
            return None
        number = self._context.number()
        payloads = {
            payload_type: Payload(payload.codec, payload.clock_rate, payload.repairs)
            for payload_type, payload in uptrack.media.payloads.items()
        }
        cache = _AUDIO_CACHE if uptrack.is_audio else _VIDEO_CACHE
        entry = StreamEntry(number, self._peer, ssrc, payloads, rtx_ssrc, cache)
        self._context.engine.add_stream(entry)
        self._context.engine.set_permitted(number, uptrack.passes)
        if self._playout_delay is not None:
            self._context.engine.set_playout_delay(number, self._playout_delay)
        stream = IngressStream(
            number,
            ssrc,
            uptrack.codec,
            uptrack.payload.clock_rate,
            rid=rid,
            nacks="nack" in uptrack.payload.feedback,
            in_red=any(payload.codec is Codec.RED for payload in uptrack.media.payloads.values()),
            nack_round_trip=self.nack_round_trip,
            budget=self._context.repair_budget,
            uplink=self.uplink,
            progress=self._context.engine.progress(number),
            layers=uptrack.streams,
            is_screen=uptrack.source is Source.SCREEN,
        )
        self._entries[number] = entry
        self.streams[number] = stream
        self._uptracks[number] = uptrack
        uptrack.streams.append(stream)
        return stream

    def learn(self, leftover: Leftover) -> IngressStream | None:
        """Register the stream of an RTP packet of unknown SSRC, or make it the RTX of a known one.

        If the packet does not say which track it belongs to, count it and return None.
        """
        try:
            header = parse_header(leftover.data)
        except ValueError:
            self._context.drops[Drop.MALFORMED] += 1
            return None
        known = self._entry_of(header.ssrc)
        if known is not None:  # registered by an earlier packet of the same batch
            return self.streams[known.stream]
        labels = self._labels(header) or self._said.get(header.ssrc, {})
        uptrack = self._section_of(header, labels)
        stream = None
        if uptrack is not None:
            repaired = labels.get(Extension.REPAIRED_RID)
            payload = uptrack.media.payloads.get(header.payload_type)
            if repaired is not None or (payload is not None and payload.codec is Codec.RTX):
                stream = self._learn_rtx(uptrack, header.ssrc, repaired or "")
            else:
                stream = self.register(uptrack, header.ssrc, labels.get(Extension.RID, ""), None)
        if stream is None:
            self._context.drops[Drop.UNKNOWN_SSRC] += 1
        elif labels:
            self._remember(header.ssrc, labels)
        return stream

    def _remember(self, ssrc: int, labels: dict[Extension, str]) -> None:
        self._said.pop(ssrc, None)  # the newest is last
        self._said[ssrc] = labels
        if len(self._said) > _SAID_A_STREAM * self._max_streams:
            del self._said[next(iter(self._said))]

    def _labels(self, header: RtpHeader) -> dict[Extension, str]:
        wanted = (Extension.MID, Extension.RID, Extension.REPAIRED_RID)
        return {
            self._extensions[number]: value.decode("ascii", "replace")
            for number, value in header.extensions
            if self._extensions.get(number) in wanted
        }

    def _section_of(self, header: RtpHeader, labels: Mapping[Extension, str]) -> UpTrack | None:
        if Extension.MID in labels:
            return self._sections.get(labels[Extension.MID])
        fits = [uptrack for uptrack in self._sections.values() if header.payload_type in uptrack.media.payloads]
        return fits[0] if len(fits) == 1 else None

    def _learn_rtx(self, uptrack: UpTrack, ssrc: int, rid: str) -> IngressStream | None:
        for stream in uptrack.streams:
            entry = self._entries[stream.number]
            if stream.rid == rid and entry.rtx_ssrc is None:
                entry = replace(entry, rtx_ssrc=ssrc)
                self._entries[stream.number] = entry
                self._context.engine.add_stream(entry)
                return stream
        return None

    def sense_uplink(self, now: int) -> None:
        """Have `uplink` learn from the first audio stream that flows."""
        flowing = [stream for stream in self.streams.values() if now - stream.last_arrival < _FLOWING_NS]
        heard = next((stream for stream in flowing if stream.codec.is_audio), None)
        if heard is None:
            self.uplink.hear_nothing()
            return
        rates = [stream.bits_per_second for stream in flowing]
        rate = sum(rates) if all(rates) else None
        progress = heard.progress
        self.uplink.hear(heard.number, progress.timestamp, progress.timestamp_at, heard.clock.rate, rate)

    def delay_playout(self, delay: int) -> None:
        """Have viewers show all pictures with a delay (ns). Once one was told, its end is told, too."""
        if delay == (self._playout_delay or 0):
            return
        self._playout_delay = delay
        for number in self.streams:
            self._context.engine.set_playout_delay(number, delay)

    def learn_size(self, stream: IngressStream, ext_seq: int, now: int) -> None:
        """Take the picture size from the keyframe that begins at `ext_seq`.

        If the size has changed, so have those of resting layers: they are unknown until these layers flow. In a stream
        with spatial layers, a keyframe shows only the size of the layers that have begun.
        """
        uptrack = self._uptracks[stream.number]
        found = self._context.engine.payload(stream.number, ext_seq) if uptrack.layers.spatial == 1 else None
        if found is None:
            return
        size = keyframe_size(uptrack.media.payloads[found[0]].codec, found[1])
        if size is None or stream.lines == min(size):
            return
        if stream.lines:
            for other in uptrack.streams:
                if not other.active(now):
                    other.pixels = other.lines = 0
        stream.pixels, stream.lines = size[0] * size[1], min(size)

    def remove(self, uptrack: UpTrack, stream: IngressStream) -> None:
        """Remove one of an uptrack's streams from the engine's table."""
        self._context.engine.remove_stream(stream.number)
        del self.streams[stream.number], self._entries[stream.number], self._uptracks[stream.number]
        uptrack.streams.remove(stream)

    def forget(self, uptrack: UpTrack) -> None:
        """Remove an uptrack's streams from the engine's table."""
        for stream in uptrack.streams:
            self._context.engine.remove_stream(stream.number)
            del self.streams[stream.number], self._entries[stream.number], self._uptracks[stream.number]
        uptrack.streams.clear()
