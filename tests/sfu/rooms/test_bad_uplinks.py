"""One publisher's bad uplink in simulated time: it affects its own picture, never the estimates of others."""

from statistics import mean

import pytest

from sfu.formats import rtcp
from tests.sfu.rooms.simulcast_call import Call, Camera
from tests.sfu.rooms.stage import MS, RtcClient, Stage
from tests.support.link_model import Link, LinkSettings

WIDE = LinkSettings(rate=8_000_000, delay=20 * MS)
BAD = {
    "narrow": LinkSettings(rate=1_000_000, delay=50 * MS),
    "lossy": LinkSettings(loss=0.2, delay=50 * MS),
    "jittery": LinkSettings(delay=50 * MS, jitter=80 * MS),
}


class Uplink:
    """Replaces a publisher's client; its packets cross a link."""

    def __init__(self, stage: Stage, camera: Camera, settings: LinkSettings) -> None:
        self.link: Link[bytes] = Link(settings, 1)
        self._client: RtcClient = camera.client
        (address,) = [address for address, client in stage.clients.items() if client is self._client]
        stage.clients[address] = self  # type: ignore[assignment]

    @property
    def ready(self) -> bool:
        return self._client.ready

    def receive(self, data: bytes, now: int) -> None:
        self._client.receive(data, now)

    def handle_timer(self, now: int) -> None:
        self._client.handle_timer(now)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        for data in self._client.datagrams_to_send(now):
            self.link.push(data, len(data), now)
        return [data for _, data in self.link.pop(now)]


def watched(bad: LinkSettings | None) -> tuple[Call, list[float]]:
    """Two cameras, of which the first may have a bad uplink; the viewer's estimates of the last five seconds."""
    call = Call(WIDE, cameras=2)
    call.run(3)
    if bad is not None:
        Uplink(call.stage, call.cameras[0], bad)
    call.run(6)
    estimates = []
    for _ in range(10):
        call.run(0.5)
        estimates.append(call.estimate)
    return call, estimates


@pytest.fixture(scope="module")
def without() -> list[float]:
    return watched(None)[1]


@pytest.mark.parametrize("kind", BAD)
def test_it_lowers_no_estimate_of_a_subscriber(kind: str, without: list[float]) -> None:
    call, estimates = watched(BAD[kind])
    room = call.stage.node.rooms["r"]
    (uptrack,) = [entry for entry in room.uptracks.values() if entry.track == call.cameras[0].track]
    if kind != "jittery":
        assert max(stream.fraction_lost for stream in uptrack.streams) > 256 * 0.1
    print(kind, [round(e / 1e6, 2) for e in (*estimates, *without)])
    assert min(estimates) > 0.9 * min(without)
    assert mean(estimates) > 0.9 * mean(without)
    assert call.carried(1) == "f"


def repairs(settings: LinkSettings) -> tuple[list[int], int, bool]:
    """Let a camera of one small layer send over an uplink: the packets of its picture and of its sound that were
    requested again after the first three seconds, and whether viewers get its sender reports.
    """
    call = Call(WIDE, speaks=True)
    camera = call.cameras[0]
    camera.resting, camera.rates["q"] = {"h", "f"}, 80_000
    call.run(2)
    Uplink(call.stage, camera, settings)
    call.run(3)
    camera.client.send_rtcp([rtcp.SenderReport(3000, 5 << 32, 3000, 1, 100)])
    camera.client.rtcp.clear()
    call.viewer.client.rtcp.clear()
    call.run(5)
    asked = [(packet.media_ssrc, len(packet.seqs)) for packet in camera.client.feedback(rtcp.Nack)]
    reported = {report.ssrc for report in call.viewer.client.feedback(rtcp.SenderReport)}
    pictures = {entry.ssrc for entry in call.subscription.subscribe_peer.downtracks.values() if entry.kind == "video"}
    spoken = sum(count for ssrc, count in asked if ssrc == 1000)
    return [count for ssrc, count in asked if ssrc != 1000], spoken, bool(reported & pictures)


def test_a_picture_on_a_thin_uplink_takes_nothing_from_its_sound() -> None:
    pictures, sounds, are_in_sync = repairs(LinkSettings(rate=100_000, delay=25 * MS))
    print(pictures, sounds)
    assert not pictures
    assert sounds
    assert not are_in_sync


def test_a_small_picture_on_a_link_that_loses_packets_is_repaired() -> None:
    pictures, sounds, are_in_sync = repairs(LinkSettings(loss=0.05, delay=25 * MS))
    assert sum(pictures) > 10 and sounds
    assert are_in_sync
