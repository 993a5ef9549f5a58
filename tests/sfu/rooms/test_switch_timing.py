"""Timestamps over layer switches: a viewer's synchronisation of picture and sound does not drift."""

import itertools
from unittest import mock

from sfu.api import signaling, signaling_values
from sfu.formats import rtcp
from sfu.formats.rtp import RtpPacket
from sfu.peers.subscribe.downtrack import DownTrack
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings

RATE = 90_000
FRAME = 2970
SIZES = {"q": (320, 180), "h": (640, 360), "f": (1280, 720)}
SSRCS = {"q": 3000, "h": 3001, "f": 3002}
_KEYFRAME = 20  # packets of the large layer's keyframe, at least; other frames have 8


class Switching:
    """A viewer's picture whose layer is chosen here, in a call whose layers all have the timestamps of their frames."""

    def __init__(self) -> None:
        self.call = Call(LinkSettings(delay=5 * MS), estimates=False)
        self.call.run(1)
        self.report(dict.fromkeys(SSRCS, 0.0))
        self.call.run(0.2)

    @property
    def downtrack(self) -> DownTrack:
        return next(
            d for d in self.call.subscription.subscribe_peer.downtracks.values() if d.uptrack and d.kind == "video"
        )

    @property
    def offset(self) -> float:
        """Return how far ahead of their frames the outgoing timestamps are, in ms."""
        offset = self.call.stage.node.context.engine.route_state(self.downtrack.route).timestamp_offset
        return ((offset + 2**31) % 2**32 - 2**31) * 1000 / RATE

    def report(self, errors: dict[str, float]) -> None:
        """Have the publisher report, wrong by so many ms."""
        now = self.call.stage.now
        reports = []
        for rid, ssrc in SSRCS.items():
            timestamp = round((now / 1e9 + errors[rid] / 1000) * RATE) % 2**32
            reports.append(rtcp.SenderReport(ssrc, (now << 32) // 10**9, timestamp, 1, 1))
        self.call.cameras[0].client.send_rtcp(reports)

    def ask(self, rid: str) -> None:
        width, height = SIZES[rid]
        wanted = signaling_values.WantedTrack(track=self.call.cameras[0].track, width=width, height=height)
        self.call.stage.say(self.call.bob, signaling.Subscribe(tracks=[wanted]))

    def switch(self, rid: str) -> None:
        self.ask(rid)
        self.call.run(0.7)
        assert self.call.carried() == rid


def test_errors_of_reports_do_not_add_up() -> None:
    switching = Switching()
    began = switching.offset
    for _ in range(10):
        switching.report({"q": 3.0, "h": 0.0, "f": -3.0})
        switching.switch("q")
        switching.report({"q": -3.0, "h": 0.0, "f": 3.0})
        switching.switch("f")
    assert abs(switching.offset - began) < 1


def test_a_layer_that_comes_late_does_not_add_up() -> None:
    """Its keyframe's timestamp may not go back, but its later pictures' need not stay ahead for that."""
    switching = Switching()
    client = switching.call.cameras[0].client
    at_once, held = client.send, []

    def send(*packets: RtpPacket) -> None:
        if packets[0].ssrc != SSRCS["f"]:
            at_once(*packets)
            return
        if held:
            at_once(*held)
        held[:] = packets

    client.send = send  # type: ignore[method-assign]  # a large picture takes a frame longer to encode
    switching.switch("q")
    began = switching.offset
    for _ in range(5):
        switching.switch("f")
        switching.switch("q")
    assert abs(switching.offset - began) < 1


def test_a_choice_that_changes_while_a_keyframe_is_awaited_keeps_to_the_reports() -> None:
    """Elapsed time would add what the network did to the packets on either side of the switch."""
    switching = Switching()
    began = switching.offset
    for _ in range(5):
        for rid in ("q", "h"):
            switching.ask(rid)
            switching.call.stage.run(15 * MS)
        switching.call.run(0.7)
        assert switching.call.carried() == "h"
        switching.switch("f")
    assert abs(switching.offset - began) < 1


def test_a_small_layer_that_pauses_after_its_keyframe_is_waited_for_with_the_large_one() -> None:
    switching = Switching()
    camera, pictures = switching.call.cameras[0], switching.call.viewer.pictures
    at_once = camera.client.send

    def send(*packets: RtpPacket) -> None:
        if packets[0].ssrc == SSRCS["q"]:
            camera.resting = {"q"}
        at_once(*packets)

    switching.switch("f")
    began, since = switching.offset, len(pictures)
    switching.ask("q")
    while not any(request.media_ssrc == SSRCS["q"] for request in camera.client.feedback(rtcp.PictureLoss)):
        switching.call.run(0.033)
    with mock.patch.object(camera.client, "send", send):
        switching.call.run(0.5)
    assert switching.call.carried() == "f"
    camera.resting = set()
    switching.call.run(0.1)
    assert switching.call.carried() == "q"
    assert max(after - before for before, after in itertools.pairwise(pictures[since:])) < 100 * MS
    assert abs(switching.offset - began) < 1


def test_a_large_layer_whose_keyframe_arrives_slowly_is_waited_for_with_the_small_one() -> None:
    switching = Switching()
    camera, pictures = switching.call.cameras[0], switching.call.viewer.pictures
    at_once = camera.client.send
    waiting: list[RtpPacket] = []

    def send(*packets: RtpPacket) -> None:
        """Send three packets of the keyframe in the time of a frame, while frames after it wait."""
        if packets[0].ssrc != SSRCS["f"]:
            at_once(*packets)
            return
        waiting.extend(packets)
        count = 3 if _KEYFRAME < len(waiting) < 3 * _KEYFRAME else len(waiting)
        at_once(*waiting[:count])
        del waiting[:count]

    switching.switch("q")
    began, since = switching.offset, len(pictures)
    switching.ask("f")
    with mock.patch.object(camera.client, "send", send):
        switching.call.run(0.7)
    assert switching.call.carried() == "f"
    assert max(after - before for before, after in itertools.pairwise(pictures[since:])) < 100 * MS
    assert abs(switching.offset - began) < 1


def test_a_change_that_is_called_off_costs_no_keyframe() -> None:
    switching = Switching()
    switching.switch("f")
    requests = switching.call.cameras[0].client.feedback(rtcp.PictureLoss)
    before = sum(request.media_ssrc == SSRCS["f"] for request in requests)
    switching.ask("q")
    switching.call.stage.run(15 * MS)
    assert switching.downtrack.waiting
    switching.switch("f")
    assert not switching.downtrack.waiting
    requests = switching.call.cameras[0].client.feedback(rtcp.PictureLoss)
    assert sum(request.media_ssrc == SSRCS["f"] for request in requests) == before


def test_after_a_pause_pictures_go_on_at_their_time() -> None:
    switching = Switching()
    switching.switch("q")
    switching.switch("f")
    began = switching.offset
    for _ in range(5):
        switching.downtrack.pause()
        switching.call.stage.run(15 * MS)
        switching.switch("f")
    assert abs(switching.offset - began) < 1
