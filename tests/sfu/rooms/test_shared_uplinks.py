"""A publisher's uplink that an upload fills, in simulated time."""

from sfu.formats import rtcp
from tests.sfu.rooms.simulcast_call import Call, Camera
from tests.sfu.rooms.stage import MS, RtcClient, Stage
from tests.sfu.rooms.test_bad_uplinks import WIDE
from tests.support.link_model import Link, LinkSettings

QUEUE = 100 * MS
FOREIGN = b""


class SharedUplink:
    """Replaces a publisher's client; its packets cross a link, whose queue others fill if they `upload`."""

    def __init__(self, stage: Stage, camera: Camera) -> None:
        self.uploads = False
        self.link: Link[bytes] = Link(LinkSettings(rate=4_000_000, delay=20 * MS, queue_bytes=100_000), 1)
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
        while self.uploads and self.link.queueing_delay < QUEUE:
            self.link.push(FOREIGN, 1500, now)
        for data in self._client.datagrams_to_send(now):
            self.link.push(data, len(data), now)
        return [data for _, data in self.link.pop(now) if data != FOREIGN]


def limits(camera: Camera) -> list[int]:
    """Return the limits (bits/s) that the publisher has been told since the last call."""
    told = [packet.bitrate for packet in camera.client.feedback(rtcp.ReceiverEstimate)]
    camera.client.rtcp.clear()
    return told


def test_a_publisher_gets_its_share_beside_an_upload_and_all_of_the_link_after_it() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    uplink = SharedUplink(call.stage, camera)
    call.run(3)
    uplink.uploads = True
    call.run(3)
    assert limits(camera) == []
    camera.resting = {"f"}  # the publisher's own estimator gives way
    call.run(3)
    told = limits(camera)
    assert told and all(300_000 < limit < 3_000_000 for limit in told)
    assert call.stage.node.context.counters["uplinks_shared"] == 1
    uplink.uploads = False
    call.run(5)
    assert limits(camera)[-1] > 50_000_000


def test_a_link_without_others_is_not_limited() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    uplink = SharedUplink(call.stage, camera)
    call.run(3)
    uplink.link.change(call.stage.now, rate=1_000_000)
    call.run(1)
    camera.resting = {"f"}
    call.run(5)
    assert limits(camera) == []
