"""The RTP of a phone: what it says becomes samples and keys, and samples and keys become packets for it. Sans-IO.

The first valid packet tells where the phone is (many are behind a NAT); afterwards only that address is heard. Times
are seconds of CLOCK_MONOTONIC.
"""

import secrets
from collections import Counter, deque

import pylibsrtp

from phone.media.audio_codecs import Samples, decoder_of, encoder_of
from phone.media.description import FRAME_MS, Key, Stream
from phone.media.keys import KeyReader, KeyWriter
from phone.media.playout import Playout
from sfu.formats.rtp import RtpPacket, is_rtcp, parse, serialize

Address = tuple[str, int]
_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
_MOST_KEYS = 64
_MAX_BYTES = 1500
_MOVED_SECONDS = 2.0


class RtpLeg:
    """The audio of one phone. `keys` are those pressed and not taken yet. `drops` counts datagrams by reason."""

    def __init__(self, stream: Stream, now: float) -> None:
        self.keys: deque[str] = deque(maxlen=_MOST_KEYS)
        self.drops: Counter[str] = Counter()
        self.heard_at = now
        """The time of the latest valid packet."""
        self.packets = 0
        self._ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbelow(1 << 32)
        self._marker = True
        self._from: Address | None = None
        self._inbound: pylibsrtp.Session | None = None
        self._outbound: pylibsrtp.Session | None = None
        self._secured: tuple[Key | None, Key | None] = (None, None)
        self._theirs = -1
        self._agree(stream)

    def _agree(self, stream: Stream) -> None:
        self.stream = stream
        codec = stream.codec
        self.frame = codec.rate * FRAME_MS // 1000
        """The samples of 20 ms."""
        self._step = codec.clock * FRAME_MS // 1000
        self._encoder, self._decoder = encoder_of(codec), decoder_of(codec)
        self.playout = Playout(self._decoder, codec.clock, codec.rate)
        self._reader, self._writer = KeyReader(), KeyWriter(stream.events_clock)
        if (stream.theirs, stream.ours) != self._secured:
            self._secured = (stream.theirs, stream.ours)
            self._inbound = _session(stream.theirs, pylibsrtp.Policy.SSRC_ANY_INBOUND)
            self._outbound = _session(stream.ours, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)

    @property
    def rate(self) -> int:
        """The sampling rate."""
        return self.stream.codec.rate

    @property
    def destination(self) -> Address:
        """The address to send to."""
        return self._from or (self.stream.host, self.stream.port)

    def change(self, stream: Stream) -> None:
        """Continue with a newly agreed stream."""
        before = self.stream
        if (stream.host, stream.port) != (before.host, before.port):
            self._from = None
        if (stream.codec, stream.payload_type, stream.theirs, stream.ours) == (
            before.codec, before.payload_type, before.theirs, before.ours,
        ):  # fmt: skip
            self.stream = stream
        else:
            self._agree(stream)
        self._marker = True

    def press(self, keys: str) -> bool:
        """Queue keys to send; return False if the phone does not know key events."""
        if self.stream.events is None:
            return False
        self._writer.press(keys)
        return True

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        if is_rtcp(data):
            return
        if len(data) > _MAX_BYTES:
            self.drops["oversize"] += 1
            return
        if self._from is not None and source != self._from and now - self.heard_at < _MOVED_SECONDS:
            self.drops["source"] += 1
            return
        try:
            packet = parse(self._inbound.unprotect(data) if self._inbound is not None else data)
        except pylibsrtp.Error:
            self.drops["unauthentic"] += 1
            return
        except ValueError:
            self.drops["malformed"] += 1
            return
        stream = self.stream
        if packet.payload_type == stream.events and stream.events is not None:
            if key := self._reader.read(packet.payload, packet.timestamp):
                self.keys.append(key)
        elif packet.payload_type != stream.payload_type or not packet.payload:
            self.drops["payload_type"] += 1
            return
        elif packet.ssrc != self._theirs:
            self._theirs = packet.ssrc
            self.playout = Playout(self._decoder, stream.codec.clock, stream.codec.rate)
            self.playout.push(packet.timestamp, packet.payload, now)
        else:
            self.playout.push(packet.timestamp, packet.payload, now)
        self._from, self.heard_at = source, now
        self.packets += 1

    def pull(self, now: float) -> Samples | None:
        """Return what the phone says in the next 20 ms; None if it is silent."""
        return self.playout.pull(self.frame, now)

    def send(self, samples: Samples) -> list[bytes]:
        """Return the datagrams of the next 20 ms."""
        events = self._writer.packets() if self.stream.events is not None else []
        datagrams = []
        if events and self.stream.events is not None:
            for event in events:
                begun = (self._timestamp - event.age * self._step) & 0xFFFFFFFF
                datagrams.append(self._packet(self.stream.events, begun, event.payload, marker=event.is_first))
            self._marker = True
        else:
            payload = self._encoder.encode(samples)
            datagrams.append(self._packet(self.stream.payload_type, self._timestamp, payload, marker=self._marker))
            self._marker = False
        self._timestamp = (self._timestamp + self._step) & 0xFFFFFFFF
        return datagrams

    def skip(self) -> None:
        """Send nothing for 20 ms, since the call is held."""
        self._timestamp = (self._timestamp + self._step) & 0xFFFFFFFF
        self._marker = True

    def _packet(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        data = serialize(RtpPacket(payload_type, self._sequence, timestamp, self._ssrc, payload, marker))
        return self._outbound.protect(data) if self._outbound is not None else data


def _session(key: Key | None, direction: int) -> pylibsrtp.Session | None:
    if key is None:
        return None
    return pylibsrtp.Session(pylibsrtp.Policy(key.key, direction, srtp_profile=_PROFILES[key.suite]))
