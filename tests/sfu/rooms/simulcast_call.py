"""A call for adaptation tests: publishers of three layers, and a viewer behind an emulated link, in simulated time."""

import contextlib
from collections.abc import Mapping

import pylibsrtp

from parley_client.subscribing import SubscribePeerReceiver
from sfu.api import signaling, signaling_values
from sfu.formats import rtcp
from sfu.formats.rtp import RtpPacket, serialize
from sfu.formats.sdp import parse as parse_sdp
from sfu.peers.subscribe.subscription import Subscription
from tests.sfu.rooms.stage import (
    AUDIO,
    CAMERA,
    MICROPHONE,
    MS,
    SECOND,
    VIDEO,
    Person,
    Stage,
    audio,
    description,
    publish,
    subscribe,
    video,
)
from tests.support.link_model import Link, LinkSettings

THREE_LAYERS = "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n"
RATES = {"q": 150_000, "h": 500_000, "f": 1_700_000}
SIZES = {"q": (320, 180), "h": (640, 360), "f": (1280, 720)}
ONE_SIZE = {"": (1280, 720)}
SOURCES = {"0": MICROPHONE, "1": CAMERA}
_KEY = bytes.fromhex("10 500000 9d012a")
_DELTA = bytes.fromhex("1051")
_TEMPORAL = ((0, 0), (2, 1), (1, 1), (2, 0))
"""Temporal layers of Chromium's frames in VP8, and whether a frame refers to the lowest layer alone."""
_FRAME_NS = 33 * MS
_SOUND_NS = 20 * MS
_PATIENCE_NS = SECOND  # libwebrtc's is three
_PACKET = 1000
_KEYFRAME_FACTOR = 3


class Camera:
    """A publisher's peer: sound, and a picture in three layers, with keyframes on request; `resting` rids are not sent.

    With the single rid "", it is one stream without a rid. Its sound has packets of `sound` bytes at the audio level
    `level`, unless it `is_muted`.
    """

    def __init__(self, stage: Stage, person: Person, number: int, sizes: Mapping[str, tuple[int, int]] = SIZES) -> None:
        self.person = person
        self._stage = stage
        self._sizes = sizes
        first = 3000 + 10 * number
        layers = THREE_LAYERS if len(sizes) > 1 else f"a=ssrc:{first} cname:x\r\n"
        self._sections = [AUDIO.replace("1001", str(1000 + number)), VIDEO + layers]
        self.client = publish(stage, person, self._sections)
        self.resting: set[str] = set()
        self.sound, self.level = 4, 30
        self.speaks = self.is_muted = self.has_temporal_layers = False
        self._is_labelled = True
        self.rates = dict(RATES) if len(sizes) > 1 else dict.fromkeys(sizes, RATES["f"])
        self._ssrcs = {rid: first + place for place, rid in enumerate(sizes)}
        self._audio_ssrc = 1000 + number
        self._seqs = dict.fromkeys(sizes, 1)
        self._frames = self._sounds = 0
        self._since_key = dict.fromkeys(sizes, 0)
        self._asked: set[int] = set(self._ssrcs.values())
        self._seen = 0
        self._transport_seq = 0

    @property
    def track(self) -> str:
        publish_peer = self.person.membership.participant.publish
        assert publish_peer is not None
        return next(uptrack.track for uptrack in publish_peer.uptracks.values() if not uptrack.is_audio)

    def resize(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Switch to another camera: each layer starts again."""
        self._sizes = sizes
        self._asked.update(self._ssrcs.values())

    def come_back(self, stage: Stage) -> None:
        """Unpublish the picture, and publish it again in the same section, as browsers do: with the same SSRCs, whose
        packets say neither mid nor rid, since a report has named them.
        """
        stage.say(self.person, signaling.Unpublish(track=self.track))
        sdp = description(self.client._ice._local, self._sections, "actpass")
        tracks = [signaling_values.OfferedTrack(mid=mid, source=source) for mid, source in SOURCES.items()]
        stage.say(self.person, signaling.Offer(peer="publish", sdp=sdp, id=2, tracks=tracks))
        self._is_labelled = False
        self._asked.update(self._ssrcs.values())

    def send_sound(self) -> None:
        """Send a packet of sound."""
        if self.is_muted:
            return
        self._sounds += 1
        sound = audio(self._sounds, self._audio_ssrc, level=self.level)
        self.client.send(sound._replace(payload=bytes(self.sound)))

    def send_frame(self) -> None:
        """Send one frame of each layer, and a packet of sound unless sound is sent separately."""
        wanted = self.client.feedback(rtcp.PictureLoss)
        self._asked.update(packet.media_ssrc for packet in wanted[self._seen :])
        self._seen = len(wanted)
        self._frames += 1
        if not self.speaks:
            self.send_sound()
        for rid, rate in self.rates.items():
            if rid in self.resting:
                continue
            ssrc = self._ssrcs[rid]
            is_key = ssrc in self._asked
            self._since_key[rid] = 0 if is_key else self._since_key[rid] + 1
            self._asked.discard(ssrc)
            size = rate * 33 // 8000 * (_KEYFRAME_FACTOR if is_key else 1)
            self.client.send(*(self._packet(rid, ssrc, part, is_key, size) for part in range(0, size, _PACKET)))

    def _packet(self, rid: str, ssrc: int, part: int, is_key: bool, size: int) -> RtpPacket:
        start = _KEY + b"".join(length.to_bytes(2, "little") for length in self._sizes[rid]) if is_key else _DELTA
        head = start if part == 0 else bytes([0])
        if self.has_temporal_layers:
            layer, is_sync = _TEMPORAL[self._since_key[rid] % len(_TEMPORAL)]
            lowest = self._since_key[rid] // len(_TEMPORAL) & 0xFF
            head = bytes([head[0] | 0x80, 0x60, lowest, layer << 6 | is_sync << 5]) + head[1:]
        seq = self._seqs[rid]
        self._seqs[rid] += 1
        packet = video(
            self._transport_seq,
            head + bytes(max(1, min(_PACKET, size - part))),
            ssrc,
            rid=rid if self._is_labelled else "",
            mid="1" if self._is_labelled else "",
            sent=self._stage.now,
        )
        self._transport_seq += 1
        timestamp = self._frames * 2970 & 0xFFFFFFFF
        return packet._replace(seq=seq & 0xFFFF, timestamp=timestamp, marker=part + _PACKET >= size)


class Viewer:
    """A client behind a link that delays its packets; it sends feedback and, if it `asks`, NACKs and PLIs; if it
    `reports`, receiver reports too.

    On the link each packet has `headers` bytes more, for example those of IP and UDP.
    `pictures` are the times at which a picture and all before it since its keyframe were complete; `sounds` are the
    times at which packets of sound first arrived, by number.
    """

    def __init__(self, stage: Stage, person: Person, settings: LinkSettings, seed: int = 1) -> None:
        self.person = person
        self.client = subscribe(stage, person)
        self.link: Link[bytes] = Link(settings, seed)
        self.queueing: list[tuple[int, int]] = []
        self.now = stage.now
        self.asks = self.reports = False
        self.headers = 0
        self.pictures: list[int] = []
        self.sounds: dict[int, int] = {}
        self._receiver = SubscribePeerReceiver(77, keep_frames=True)
        self._offers = 0
        self._patient_since = self._reported_at = stage.now
        (self._address,) = [address for address, client in stage.clients.items() if client is self.client]
        stage.clients[self._address] = self  # type: ignore[assignment]  # in the client's place

    @property
    def ready(self) -> bool:
        return self.client.ready

    def receive(self, data: bytes, now: int) -> None:
        if 127 < data[0] < 192:
            self.link.push(data, len(data) + self.headers, now)
        else:
            self.client.receive(data, now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        return self.client.datagrams_to_send(now)

    def handle_timer(self, now: int) -> None:
        self.now = now
        self.client.handle_timer(now)
        self._learn()
        for at, data in self.link.pop(now):
            before, reports_before = len(self.client.rtp), len(self.client.rtcp)
            with contextlib.suppress(pylibsrtp.Error):  # a second copy of a packet is a replay
                self.client.receive(data, at)
            for packet in self.client.rtp[before:]:
                if packet.payload_type == 111:
                    self.sounds.setdefault(packet.timestamp // 960, at)
                self._receiver.receive_rtp(serialize(packet), at)
            self._receiver.receive_rtcp(self.client.rtcp[reports_before:], at)
        packets = rtcp.parse(due) if (due := self._receiver.feedback(now)) else []
        if self.reports and now - self._reported_at >= SECOND:
            self._reported_at = now
            packets += rtcp.parse(due) if (due := self._receiver.reports(now)) else []
        packets = [packet for packet in packets if self.asks or not isinstance(packet, rtcp.Nack)]
        if self.asks and now - max([self._patient_since, *self.pictures[-1:]]) >= _PATIENCE_NS:
            self._patient_since = now
            streams = [stream for stream in self._receiver.streams.values() if stream.kind == "video"]
            packets += [rtcp.PictureLoss(77, stream.ssrc) for stream in streams]
        if packets and self.client.ready:
            self.client.send_rtcp(packets)
        for stream in self._receiver.streams.values():
            self.pictures += [now for frame in stream.frames if frame.intact and stream.kind == "video"]
            stream.frames.clear()
        self.queueing.append((now, self.link.queueing_delay))

    def _learn(self) -> None:
        """Process the offers' information on slots."""
        offers = self.person.of(signaling.Offer)
        for offer in offers[self._offers :]:
            self._receiver.apply(parse_sdp(offer.sdp))
        self._offers = len(offers)


class Call:
    """A room with cameras and one viewer."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        cameras: int = 1,
        estimates: bool = True,
        sizes: Mapping[str, tuple[int, int]] = SIZES,
        speaks: bool = False,
        seed: int = 1,
    ) -> None:
        """Set up the room. Cameras that `speak` send sound like a microphone, 50 packets of 80 bytes per second."""
        self.stage = stage = Stage()
        if estimates:
            stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # both engines are one
        people = [stage.join(f"p{number}") for number in range(cameras)]
        self.bob = stage.join("bob")
        self.viewer = Viewer(stage, self.bob, settings, seed)
        self.cameras = []
        for number, person in enumerate(people):
            camera = Camera(stage, person, number, sizes)
            if speaks:
                camera.speaks, camera.sound = True, 80
            self.cameras.append(camera)
            self._answer()
        stage.run(200 * MS)
        self._answer()
        self._picture_at = self._sound_at = stage.now

    def _answer(self) -> None:
        """Answer a pending offer."""
        participant = self.bob.membership.participant
        if participant.subscription is not None and participant.subscription.offer_in_flight is not None:
            subscribe(self.stage, self.bob, self.viewer.client)

    def run(self, seconds: float) -> None:
        """Let everyone send for a while, without the layers reported as not needed."""
        stage = self.stage
        end = stage.now + int(seconds * 1000) * MS
        speaking = [camera for camera in self.cameras if camera.speaks]
        while stage.now < end:
            if stage.now >= self._picture_at:
                self._picture_at = stage.now + _FRAME_NS
                for camera in self.cameras:
                    camera.send_frame()
            if speaking and stage.now >= self._sound_at:
                self._sound_at = stage.now + _SOUND_NS
                for camera in speaking:
                    camera.send_sound()
            until = min(self._picture_at, self._sound_at) if speaking else self._picture_at
            stage.run(until - stage.now, 3 * MS)

    @property
    def subscription(self) -> Subscription:
        subscription = self.bob.membership.participant.subscription
        assert subscription is not None
        return subscription

    def carried(self, camera: int = 0) -> str:
        """Return the rid of a camera that the viewer gets now, or "" for none."""
        for downtrack in self.subscription.subscribe_peer.downtracks.values():
            if downtrack.uptrack is not None and downtrack.uptrack.track == self.cameras[camera].track:
                number = self.stage.node.context.engine.route_state(downtrack.route).stream
                return next((stream.rid for stream in downtrack.uptrack.streams if stream.number == number), "")
        return ""

    @property
    def estimate(self) -> float:
        bandwidth = self.subscription.subscribe_peer.bandwidth
        assert bandwidth is not None
        return bandwidth.rate
