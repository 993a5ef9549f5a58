"""Players without transport-wide feedback in simulated time: RFC 8888, REMB, or only receiver reports."""

from collections.abc import Callable

import pytest

from sfu.api import signaling
from sfu.api.join_token import AUDIENCE, Grants, JoinClaims
from sfu.formats import rtcp
from sfu.formats.congestion_feedback import CongestionFeedback, PacketArrival, StreamArrivals
from sfu.formats.rtp import RtpPacket
from sfu.machines.ice.lite import generate_credentials
from tests.sfu.rooms.simulcast_call import Camera
from tests.sfu.rooms.stage import MS, SECOND, VIDEO, Stage, description
from tests.support.link_model import Link, LinkSettings

FRAME_NS = 33 * MS
_TRANSPORT_WIDE = ("a=rtcp-fb:120 transport-cc", "a=extmap:3 ")
_US = 9


class Player:
    """A WHEP player behind a link, which reports received packets in one of several ways."""

    def __init__(self, stage: Stage, settings: LinkSettings, says: Callable[["Player", int], list[rtcp.Packet]]):
        lines = [line for line in VIDEO.split("\r\n") if not line.startswith(_TRANSPORT_WIDE)]
        section = "\r\n".join(lines).replace("a=sendonly", "a=recvonly")
        section += "a=rtcp-fb:* ack ccfb\r\na=rtcp-fb:120 goog-remb\r\n"
        local = generate_credentials()
        claims = JoinClaims(
            aud=AUDIENCE, jti="p", iat=0, exp=0, room="r", participant="player", name="Player", grants=Grants()
        )
        offer = description(local, [section], "actpass")
        self.membership, self.answer = stage.node.stand_alone(
            claims, "whep", offer, signaling.Consent(text=""), stage.now
        )
        self.client = stage.connect(local, self.answer)
        self.link: Link[bytes] = Link(settings, 1)
        self.came: list[tuple[RtpPacket, int]] = []
        self._says = says
        self._next = 0
        self._stage = stage
        (address,) = [address for address, client in stage.clients.items() if client is self.client]
        stage.clients[address] = self  # type: ignore[assignment]

    @property
    def ready(self) -> bool:
        return self.client.ready

    def receive(self, data: bytes, now: int) -> None:
        if 127 < data[0] < 192:
            self.link.push(data, len(data), now)
        else:
            self.client.receive(data, now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        return self.client.datagrams_to_send(now)

    def handle_timer(self, now: int) -> None:
        self.client.handle_timer(now)
        for at, data in self.link.pop(now):
            before = len(self.client.rtp)
            self.client.receive(data, at)
            self.came += [(packet, at) for packet in self.client.rtp[before:]]
        if now >= self._next and self.came:
            packets = self._says(self, now)
            self._next = now + (50 * MS if isinstance(packets[0], CongestionFeedback) else SECOND)
            self.client.send_rtcp(packets)
            self.came.clear()

    @property
    def estimate(self) -> float:
        whep_player = self.membership.participant.whep_player
        assert whep_player is not None
        assert whep_player.subscribe_peer.bandwidth is not None
        return whep_player.subscribe_peer.bandwidth.rate

    @property
    def carried(self) -> str:
        whep_player = self.membership.participant.whep_player
        assert whep_player is not None
        (shown,) = whep_player.subscribe_peer.downtracks.values()
        number = self._stage.node.context.engine.route_state(shown.route).stream
        streams = shown.uptrack.streams if shown.uptrack is not None else []
        return next((stream.rid for stream in streams if stream.number == number), "")


def congestion_feedback(player: Player, now: int) -> list[rtcp.Packet]:
    by_ssrc: dict[int, dict[int, int]] = {}
    for packet, at in player.came:
        by_ssrc.setdefault(packet.ssrc, {})[packet.seq] = at
    streams = []
    for ssrc, arrivals in by_ssrc.items():
        base = next(iter(arrivals))
        span = max((seq - base) & 0xFFFF for seq in arrivals if (seq - base) & 0xFFFF < 0x8000)
        told = [arrivals.get((base + index) & 0xFFFF) for index in range(span + 1)]
        packets = [PacketArrival(0, (now - at) * 1024 // SECOND) if at is not None else None for at in told]
        streams.append(StreamArrivals(ssrc, base, tuple(packets)))
    return [CongestionFeedback(_US, (now * 65536 // SECOND) & 0xFFFFFFFF, tuple(streams))]


def remb(player: Player, now: int) -> list[rtcp.Packet]:
    return [rtcp.ReceiverEstimate(_US, 700_000, (player.came[-1][0].ssrc,))]


class Reports:
    """Receiver reports with the losses since the last one."""

    def __init__(self) -> None:
        self._highest = -1

    def __call__(self, player: Player, now: int) -> list[rtcp.Packet]:
        main = [packet for packet, _ in player.came if packet.payload_type == 120]
        highest = main[-1].seq
        expected = (highest - self._highest) & 0xFFFF if self._highest >= 0 else len(main)
        self._highest = highest
        lost = max(0, expected - len(main))
        fraction = min(255, lost * 256 // max(expected, 1))
        return [rtcp.ReceiverReport(_US, (rtcp.ReportBlock(main[-1].ssrc, fraction, lost, highest, 0),))]


def play(settings: LinkSettings, says: Callable[[Player, int], list[rtcp.Packet]]) -> tuple[Stage, Camera, Player]:
    stage = Stage()
    stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # the Python engine is one
    camera = Camera(stage, stage.join("ann"), 0)
    return stage, camera, Player(stage, settings, says)


def run(stage: Stage, camera: Camera, seconds: float) -> None:
    for _ in range(int(seconds * SECOND) // FRAME_NS):
        camera.send_frame()
        stage.run(FRAME_NS, 3 * MS)


@pytest.mark.parametrize(("says", "least"), [(congestion_feedback, 600_000), (remb, 700_000)])
def test_the_estimate_follows_what_is_told(says: Callable[[Player, int], list[rtcp.Packet]], least: float) -> None:
    stage, camera, player = play(LinkSettings(rate=800_000, delay=20 * MS), says)
    run(stage, camera, 12)
    for _ in range(10):
        run(stage, camera, 0.5)
        assert least <= player.estimate < 1_000_000
        assert player.carried == "h"


@pytest.mark.parametrize(("loss", "carried"), [(0.0, "f"), (0.2, "q")])
def test_receiver_reports_alone_tell_of_losses(loss: float, carried: str) -> None:
    stage, camera, player = play(LinkSettings(loss=loss, delay=20 * MS), Reports())
    run(stage, camera, 15)
    assert player.carried == carried


def test_congestion_feedback_is_agreed_on_where_there_is_nothing_better() -> None:
    _, _, player = play(LinkSettings(), congestion_feedback)
    assert "a=rtcp-fb:* ack ccfb" in player.answer
    assert "transport-cc" not in player.answer
