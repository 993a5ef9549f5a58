"""Keys of phones as RTP events (RFC 4733), in both directions. Sans-IO."""

import struct
from collections import deque
from typing import NamedTuple

KEYS = "0123456789*#ABCD"
_EVENT = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 10
_TONE_FRAMES, _PAUSE_FRAMES, _END_PACKETS = 6, 4, 3
PAUSE = ","
_PAUSE_SIGN_FRAMES = 50


class KeyReader:
    """Reads keys. An event is repeated in many packets with one timestamp; its first packet counts."""

    def __init__(self) -> None:
        self._last: int | None = None

    def read(self, payload: bytes, timestamp: int) -> str:
        """Return the key that a packet begins, "" for none."""
        if len(payload) < _EVENT.size or timestamp == self._last:
            return ""
        event = payload[0]
        if event >= len(KEYS):
            return ""
        self._last = timestamp
        return KEYS[event]


class EventPacket(NamedTuple):
    """A packet of an event: its payload, how many frames ago the event began, and whether it begins."""

    payload: bytes
    age: int
    is_first: bool


class KeyWriter:
    """Writes keys, one packet for each frame of 20 ms. "," is a pause of one second."""

    def __init__(self, clock: int) -> None:
        self._frame = clock // 50
        self._waiting: deque[str] = deque()
        self._event: int | None = None
        self._frames = 0
        self._pause = 0

    def __len__(self) -> int:
        return len(self._waiting) + (self._event is not None)

    def press(self, keys: str) -> None:
        """Queue keys and pauses; raises ValueError for anything else."""
        keys = keys.upper()
        if any(key not in KEYS + PAUSE for key in keys):
            raise ValueError("only 0-9, *, #, A-D and commas can be dialled")
        self._waiting.extend(keys)

    def packets(self) -> list[EventPacket]:
        """Return the packets of this frame. Audio is not sent while there are any."""
        if self._pause:
            self._pause -= 1
            return []
        if self._event is None:
            if not self._waiting:
                return []
            key = self._waiting.popleft()
            if key == PAUSE:
                self._pause = _PAUSE_SIGN_FRAMES
                return []
            self._event, self._frames = KEYS.index(key), 0
        self._frames += 1
        is_end = self._frames >= _TONE_FRAMES
        payload = _EVENT.pack(self._event, _VOLUME | (_END if is_end else 0), self._frames * self._frame)
        packet = EventPacket(payload, self._frames - 1, self._frames == 1)
        if not is_end:
            return [packet]
        self._event, self._pause = None, _PAUSE_FRAMES
        return [packet] * _END_PACKETS
