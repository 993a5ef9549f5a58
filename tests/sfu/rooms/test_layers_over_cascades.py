"""Layers of a room on several nodes in simulated time: only watched layers cross, each once."""

from collections.abc import Iterable, Mapping

from sfu.api import signaling
from sfu.api.cascade_link import LinkState
from sfu.api.signaling_values import WantedTrack
from tests.sfu.rooms.cascaded import HOME, SECONDARY, TERTIARY, Cascaded
from tests.sfu.rooms.simulcast_call import ONE_SIZE, SIZES, Camera, Viewer
from tests.sfu.rooms.stage import MS, SECOND, Person, Stage, subscribe
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=10_000_000, delay=20 * MS)
NARROW = LinkSettings(rate=800_000, delay=20 * MS)
FRAME_NS = 33 * MS
LARGE, SMALL = (1280, 720), (320, 180)


class FarCall:
    """Cameras at one node, viewers at any."""

    def __init__(self, *secondary: str) -> None:
        self.cascaded = Cascaded(*secondary)
        for stage in self.cascaded.stages.values():
            stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # it is one
        self.cameras: list[Camera] = []
        self.viewers: list[tuple[Stage, Viewer]] = []

    def arrive(self, who: str, host: str) -> tuple[Stage, Person]:
        stage = self.cascaded.stages[host]
        return stage, stage.join(who)

    def publish(self, person: tuple[Stage, Person], sizes: Mapping[str, tuple[int, int]] = SIZES) -> Camera:
        camera = Camera(*person, len(self.cameras), sizes)
        self.cameras.append(camera)
        return camera

    def watch(self, who: str, host: str, settings: LinkSettings = WIDE) -> Viewer:
        stage, person = self.arrive(who, host)
        viewer = Viewer(stage, person, settings)
        self.viewers.append((stage, viewer))
        self.run(0.3)
        return viewer

    def run(self, seconds: float) -> None:
        """Let everyone send for a while, obeying the messages about layers."""
        for _ in range(int(seconds * SECOND) // FRAME_NS):
            for camera in self.cameras:
                told = camera.person.of(signaling.Layers)
                camera.resting = set(camera.rates) - set(told[-1].active) if told else set()
                camera.send_frame()
            self.cascaded.run(FRAME_NS, 11 * MS)
            for stage, viewer in self.viewers:
                subscription = viewer.person.membership.participant.subscription
                if subscription is not None and subscription.offer_in_flight is not None:
                    subscribe(stage, viewer.person, viewer.client)

    def wish(self, viewer: Viewer, size: tuple[int, int] | None, camera: int = 0) -> None:
        stage = next(stage for stage, entry in self.viewers if entry is viewer)
        wanted = WantedTrack(track=self.cameras[camera].track, on=size is not None)
        if size is not None:
            wanted = WantedTrack(track=self.cameras[camera].track, width=size[0], height=size[1])
        stage.say(viewer.person, signaling.Subscribe(tracks=[wanted]))

    def crossing(self, host: str, seconds: float = 1.0) -> set[str]:
        """The rids of the only camera that cross from a node to another within that time, each once."""
        self.cascaded.crossed.clear()
        self.run(seconds)
        rids = {
            stream.ssrc: stream.rid
            for sender, said in self.cascaded.said
            if sender == host and isinstance(said, LinkState)
            for track in said.tracks
            if track.info.media == "video"
            for stream in track.streams
        }
        crossed = {int.from_bytes(data[8:12], "big") for data in self.cascaded.rtp_from(host)}
        seen = [rids[ssrc] for ssrc in crossed if ssrc in rids]
        assert len(seen) == len(set(seen))
        return set(seen)


def carried(viewer: Viewer, stage: Stage) -> str:
    """The rid that a viewer is sent now."""
    subscription = viewer.person.membership.participant.subscription
    assert subscription is not None
    for downtrack in subscription.subscribe_peer.downtracks.values():
        if downtrack.uptrack is not None and not downtrack.uptrack.is_audio:
            number = stage.node.context.engine.route_state(downtrack.route).stream
            return next((stream.rid for stream in downtrack.uptrack.streams if stream.number == number), "")
    return ""


def told(camera: Camera) -> Iterable[str]:
    layers = camera.person.of(signaling.Layers)
    return layers[-1].active if layers else ("q", "h", "f")


def far_call() -> tuple[FarCall, Camera]:
    call = FarCall(SECONDARY)
    ann = call.arrive("ann", HOME)
    call.arrive("eve", SECONDARY)
    call.cascaded.link()
    return call, call.publish(ann)


def test_only_the_layers_that_somebody_watches_cross_and_are_sent() -> None:
    call, camera = far_call()
    viewer = call.watch("bob", SECONDARY)
    call.run(3)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) == "f"
    call.wish(viewer, SMALL)
    call.run(11)
    assert call.crossing(HOME) == {"q"}
    (link,) = call.cascaded.stages[HOME].node.rooms["r"].links.values()
    assert (link.statistics()["streams_sent"], link.statistics()["streams_resting"]) == (2, 2)  # sound and "q"
    call.run(11)
    assert set(told(camera)) == {"q"}


def test_a_new_picture_is_there_soon() -> None:
    call = FarCall(SECONDARY)
    ann = call.arrive("ann", HOME)
    call.cascaded.link()
    viewer = call.watch("bob", SECONDARY)
    call.publish(ann)
    begin = viewer.now
    call.run(0.4)
    assert viewer.pictures[0] - begin < 300 * MS


def test_nothing_crosses_before_somebody_asks_for_it() -> None:
    call, _ = far_call()  # with Eve at the other node, who receives nothing
    assert call.crossing(HOME) == set()
    assert call.cascaded.rtp_from(HOME)  # but sound
    call.watch("bob", SECONDARY)
    assert call.crossing(HOME) != set()


def test_what_layers_cost_is_known_before_they_cross() -> None:
    call, camera = far_call()
    camera.rates = {"q": 60_000, "h": 200_000, "f": 600_000}
    call.run(4)
    assert not costs_differ(call, camera)
    viewer = call.watch("bob", SECONDARY, LinkSettings(rate=1_000_000, delay=20 * MS))
    call.run(1.5)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) == "f"
    call.wish(viewer, SMALL)
    call.run(12)
    camera.rates["f"] = 300_000
    call.run(6)
    assert not costs_differ(call, camera)


def costs_differ(call: FarCall, camera: Camera) -> dict[str, float]:
    """Return the secondary node's costs of layers that differ notably from the real ones."""
    room = call.cascaded.stages[SECONDARY].node.rooms["r"]
    (uptrack,) = [entry for entry in room.uptracks.values() if not entry.is_audio]
    ladder = room.adaptation._ladders[uptrack.track]
    costs = {stream.rid: ladder.cost(stream) for stream in uptrack.streams}
    return {rid: cost for rid, cost in costs.items() if not 0.6 < cost / camera.rates[rid] < 1.6}


def test_layers_that_rest_are_back_within_a_second() -> None:
    call, camera = far_call()
    viewer = call.watch("bob", SECONDARY)
    call.wish(viewer, SMALL)
    call.run(23)
    assert set(told(camera)) == {"q"}
    call.wish(viewer, LARGE)
    call.run(0.3)
    assert "f" in told(camera)
    call.run(0.7)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) == "f"


def test_what_is_watched_here_does_not_cross_for_that() -> None:
    call, camera = far_call()
    near, far = call.watch("cid", HOME), call.watch("bob", SECONDARY)
    call.wish(far, SMALL)
    call.run(12)
    assert call.crossing(HOME) == {"q"}
    assert carried(near, call.cascaded.stages[HOME]) == "f"
    assert "f" in told(camera)
    call.wish(far, LARGE)
    call.run(1)
    assert carried(far, call.cascaded.stages[SECONDARY]) == "f"


def test_what_nobody_there_watches_does_not_cross_at_all() -> None:
    call, camera = far_call()
    viewer = call.watch("bob", SECONDARY)
    call.wish(viewer, None)
    call.run(12)
    assert call.crossing(HOME) == set()
    assert call.cascaded.rtp_from(HOME)  # its sound does
    call.run(10)
    assert told(camera) == []
    call.wish(viewer, LARGE)
    call.run(1.0)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) != ""


def test_each_far_viewer_gets_what_its_own_link_carries() -> None:
    call, _ = far_call()
    narrow, wide = call.watch("bob", SECONDARY, NARROW), call.watch("cid", SECONDARY)
    call.run(12)
    stage = call.cascaded.stages[SECONDARY]
    assert (carried(narrow, stage), carried(wide, stage)) == ("h", "f")
    assert call.crossing(HOME) == {"q", "h", "f"}


def test_a_thin_far_link_alone_keeps_the_top_layer_from_crossing() -> None:
    call, _ = far_call()
    viewer = call.watch("bob", SECONDARY, NARROW)
    call.run(20)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) == "h"
    assert call.crossing(HOME) <= {"q", "h"}


def test_wishes_pass_through_the_home_node() -> None:
    call = FarCall(SECONDARY, TERTIARY)
    ann = call.arrive("ann", SECONDARY)
    call.arrive("eve", HOME)
    call.arrive("fay", TERTIARY)
    call.cascaded.link()
    camera = call.publish(ann)
    viewer = call.watch("bob", TERTIARY)
    call.run(3)
    assert carried(viewer, call.cascaded.stages[TERTIARY]) == "f"
    call.wish(viewer, SMALL)
    call.run(33)
    assert call.crossing(HOME) == call.crossing(SECONDARY) == {"q"}
    assert set(told(camera)) == {"q"}
    call.wish(viewer, LARGE)
    call.run(1)
    assert carried(viewer, call.cascaded.stages[TERTIARY]) == "f"


def test_a_video_without_simulcast_rests_until_somebody_anywhere_watches_it() -> None:
    call = FarCall(SECONDARY, TERTIARY)
    ann = call.arrive("ann", SECONDARY)
    call.arrive("eve", HOME)
    call.cascaded.link()
    camera = call.publish(ann, ONE_SIZE)
    viewer = call.watch("bob", TERTIARY)
    call.run(12)
    assert camera.resting == set()
    call.wish(viewer, None)
    call.run(33)
    assert told(camera) == []
    before = len(viewer.pictures)
    call.wish(viewer, LARGE)
    call.run(1)
    assert told(camera) == [""]
    assert len(viewer.pictures) > before + 10
