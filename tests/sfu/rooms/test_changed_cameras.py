"""Layers are chosen by a camera's current size, even after its publisher has switched to another camera."""

import pytest

from sfu.api import signaling
from sfu.api.signaling_values import WantedTrack
from tests.sfu.rooms.cascaded import SECONDARY
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS
from tests.sfu.rooms.test_layers_over_cascades import SMALL, carried, far_call
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)
HALF = {"q": (160, 90), "h": (320, 180), "f": (640, 360)}
DOUBLE = {"q": (640, 360), "h": (1280, 720), "f": (2560, 1440)}


def wish(call: Call, height: int) -> None:
    wanted = WantedTrack(track=call.cameras[0].track, width=height * 16 // 9, height=height)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))


@pytest.mark.parametrize(("sizes", "height", "rid"), [(HALF, 180, "h"), (DOUBLE, 360, "q"), (DOUBLE, 720, "h")])
def test_another_camera_has_other_layers_of_use(sizes: dict[str, tuple[int, int]], height: int, rid: str) -> None:
    call = Call(WIDE)
    call.run(3)
    call.cameras[0].resize(sizes)
    wish(call, height)
    call.run(3)
    assert call.carried() == rid


def test_a_camera_that_comes_back_is_known_by_its_ssrcs() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(2)
    assert call.carried() == "f"
    camera.come_back(call.stage)
    assert call.carried() == ""
    call.run(2)
    assert call.carried() == "f"


def test_layers_that_rest_have_another_size_too() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(2)
    wish(call, 180)
    call.run(11)
    camera.resting = {"h", "f"}
    call.run(3)
    assert call.carried() == "q"
    camera.resize(HALF)
    call.run(1)
    assert set(camera.person.last(signaling.Layers).active) == {"q", "h"}
    camera.resting = {"f"}
    call.run(1)
    assert call.carried() == "h"
    wish(call, 360)
    call.run(1)
    camera.resting = set()
    call.run(1)
    assert call.carried() == "f"


def test_another_camera_is_known_at_other_nodes() -> None:
    call, camera = far_call()
    viewer = call.watch("bob", SECONDARY)
    call.run(2)
    call.wish(viewer, SMALL)
    call.run(2)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) == "q"
    camera.resize(HALF)
    call.run(12)
    assert carried(viewer, call.cascaded.stages[SECONDARY]) == "h"


def test_the_camera_s_own_size_tells_what_is_enough() -> None:
    """One of 480 lines: for 360 of them 240 are not."""
    call = Call(WIDE, sizes={"q": (160, 120), "h": (320, 240), "f": (640, 480)})
    (camera,) = call.cameras
    call.run(1)
    for (width, height), rid in {(480, 360): "f", (400, 300): "h", (160, 120): "q"}.items():
        wanted = WantedTrack(track=camera.track, width=width, height=height)
        call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
        call.run(1)
        assert call.carried() == rid


def test_without_the_top_layer_the_next_one_is_not_taken_for_it() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(1)
    camera.resting = {"f"}
    wanted = WantedTrack(track=camera.track, width=711, height=400)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
    call.run(4)
    assert call.carried() == "h"
