"""An incoming SSRC in the Python engine: its unwrapped numbering, its cache, and its routes and sinks."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from sfu.engine.contract import Drop, Payload, StreamEntry
from sfu.engine.packet import NO_PLAYOUT_DELAY, Packet
from sfu.formats import dependency_descriptor
from sfu.formats.dependency_descriptor import TemplateStructure
from sfu.machines.repair.stream_progress import StreamProgress

AnyRoute = TypeVar("AnyRoute")
MIN_CACHE_PACKETS = 64
MAX_CACHE_PACKETS = 16384
CACHE_NS = 3_000_000_000
"""The time for which packets are kept; older ones are neither requested nor used to begin with."""


class Stream(Generic[AnyRoute]):
    """A registered stream. `routes` carry it or wait for it; `former` ones carried it and may still get late
    packets.
    """

    __slots__ = (
        "_capacity",
        "_first",
        "_keyframe_timestamp",
        "_oldest",
        "_ring",
        "_structure",
        "_targets",
        "entry",
        "former",
        "is_shed",
        "keyframe",
        "newest",
        "overflows",
        "payloads",
        "permitted",
        "playout_delay",
        "progress",
        "routes",
        "sinks",
    )

    def __init__(self, entry: StreamEntry, overflows: int = 0) -> None:
        self.entry = entry
        self.payloads: Mapping[int, Payload] = entry.payloads
        self.permitted = True
        self.is_shed = False
        self.playout_delay = b""  # the header extension's value, empty for none
        self.progress = StreamProgress()
        self.newest = -1
        self.keyframe = -1  # the first packet of the newest keyframe
        self.overflows = overflows  # overflows of sockets up to the newest packet; -1 after a packet that was shed
        self.routes: list[AnyRoute] = []
        self.former: list[AnyRoute] = []
        self.sinks: list[tuple[int, int]] = []
        self._capacity = max(MIN_CACHE_PACKETS, min(entry.cache_packets, MAX_CACHE_PACKETS))
        self._ring: list[Packet | None] = [None] * self._capacity
        self._first = 0  # packets before it are too late
        self._oldest = 0  # there is no packet before it
        self._keyframe_timestamp = 0
        self._structure: TemplateStructure | None = None
        self._targets: list[tuple[int, int]] = []

    @property
    def is_audio(self) -> bool:
        return any(payload.codec.is_audio for payload in self.payloads.values())

    def update(self, entry: StreamEntry) -> None:
        """Take a new entry for the same SSRC; cached packets stay."""
        self.entry = entry
        self.payloads = entry.payloads

    def unwrap(self, seq: int) -> int:
        """Return the ext_seq nearest to the newest so far; it may be negative before the first packet's cycle."""
        newest = self.newest
        if newest < 0:
            return seq
        ahead = (seq - newest) & 0xFFFF
        return newest + ahead if ahead < 0x8000 else newest + ahead - 0x10000

    def refusal(self, ext_seq: int) -> Drop | None:
        """Return the reason why a packet at `ext_seq` is not new; None if it is."""
        if ext_seq < self._first or ext_seq <= self.newest - self._capacity:
            return Drop.TOO_LATE
        return Drop.DUPLICATE if self.get(ext_seq) is not None else None

    def get(self, ext_seq: int) -> Packet | None:
        """Return the packet at `ext_seq` (-1 for none) if it is held, else None."""
        packet = self._ring[ext_seq % self._capacity]
        return packet if packet is not None and packet.ext_seq == ext_seq else None

    def put(self, packet: Packet, overflows: int) -> None:
        """Hold a packet that is neither too old nor held already, with the count of socket overflows up to it."""
        packet.gap = max(0, packet.ext_seq - self.newest - 1) if self.newest >= 0 else 0
        packet.closes = packet.ext_seq > self.newest and self.overflows != overflows
        if packet.closes:
            self.overflows = overflows
        self._ring[packet.ext_seq % self._capacity] = packet
        packet.is_late = packet.ext_seq < self.newest
        self.newest = max(self.newest, packet.ext_seq)
        self._oldest = max(min(self._oldest, packet.ext_seq), self.newest - self._capacity + 1)
        self._forget(packet.arrival - CACHE_NS)
        if not self.is_audio:
            if packet.is_keyframe:
                self._note_keyframe(packet)
            self._tell_playout_delay(packet)

    def _forget(self, horizon: int) -> None:
        """Drop packets from before `horizon`, up to the first later one; the newest stays."""
        while self._oldest < self.newest:
            packet = self.get(self._oldest)
            if packet is not None:
                if packet.arrival >= horizon:
                    break
                self._ring[self._oldest % self._capacity] = None
                self._first = self._oldest + 1
            self._oldest += 1

    def _note_keyframe(self, packet: Packet) -> None:
        is_same = self.keyframe >= 0 and packet.timestamp == self._keyframe_timestamp
        if is_same == (packet.ext_seq < self.keyframe):
            self.keyframe, self._keyframe_timestamp = packet.ext_seq, packet.timestamp

    def _tell_playout_delay(self, packet: Packet) -> None:
        """Give a packet the stream's playout delay; a keyframe says that there is none."""
        packet.playout_delay = self.playout_delay
        if not self.playout_delay and self.keyframe >= 0 and packet.timestamp == self._keyframe_timestamp:
            packet.playout_delay = NO_PLAYOUT_DELAY

    def describe(self, packet: Packet, value: bytes) -> None:
        """Set an AV1 packet's frame number from its dependency descriptor and, if that parses, its layers."""
        if len(value) >= 3:
            packet.frame_number = int.from_bytes(value[1:3], "big")
        try:
            descriptor = dependency_descriptor.parse(value, self._structure)
        except ValueError:
            return
        own = descriptor.structure
        if own is not None:
            self._structure = own
            self._targets = [own.target_layers(target) for target in range(own.decode_targets)]
        packet.take_layers(descriptor, self._targets)

    def clear(self) -> None:
        """Release the cache, since the stream has left the table."""
        self.keyframe = -1
        self._capacity = 1
        self._ring = [None]
