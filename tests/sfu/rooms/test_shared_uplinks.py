"""A publisher's uplink that an upload fills, in simulated time."""

from itertools import pairwise

from sfu.formats import rtcp
from tests.sfu.rooms.simulcast_call import Call, Camera
from tests.sfu.rooms.stage import MS
from tests.sfu.rooms.test_bad_uplinks import WIDE, Uplink
from tests.support.link_model import LinkSettings

QUEUE = 100 * MS
LINK = LinkSettings(rate=4_000_000, delay=20 * MS, queue_bytes=100_000)
FOREIGN = b""


class SharedUplink(Uplink):
    """An uplink whose queue others fill while they `upload`."""

    uploads = False

    def datagrams_to_send(self, now: int) -> list[bytes]:
        while self.uploads and self.link.queueing_delay < QUEUE:
            self.link.push(FOREIGN, 1500, now)
        return [data for data in super().datagrams_to_send(now) if data != FOREIGN]


def limits(camera: Camera) -> list[int]:
    """Return the limits (bits/s) that the publisher has been told since the last call."""
    told = [packet.bitrate for packet in camera.client.feedback(rtcp.ReceiverEstimate)]
    camera.client.rtcp.clear()
    return told


def test_a_publisher_gets_its_share_beside_an_upload_and_all_of_the_link_after_it() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    uplink = SharedUplink(call.stage, camera, LINK)
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


def test_a_top_layer_that_gives_way_to_an_upload_is_left_without_a_gap() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    uplink = SharedUplink(call.stage, camera, LINK)
    call.run(6)
    assert call.carried() == "f"
    uplink.uploads = True
    call.run(0.5)
    seen = len(call.viewer.pictures)
    camera.rates["f"] = 600_000
    call.run(2.5)
    assert call.carried() == "h"
    camera.resting = {"f"}
    call.run(2)
    pictures = call.viewer.pictures[seen:]
    assert max(later - earlier for earlier, later in pairwise(pictures)) < 150 * MS


def test_a_link_without_others_is_not_limited() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    uplink = Uplink(call.stage, camera, LINK)
    call.run(3)
    uplink.link.change(call.stage.now, rate=1_000_000)
    call.run(1)
    camera.resting = {"f"}
    call.run(5)
    assert limits(camera) == []
