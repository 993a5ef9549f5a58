"""Layers that stall are distinguished from pictures that do not move."""

from sfu.machines.layers.liveness import LayerLiveness, LayerProgress

MS = 1_000_000
SECOND = 1000 * MS


class Track:
    """Layers of given frame rates; those in `off` are not sent."""

    def __init__(self, **rates: float) -> None:
        self.rates = rates
        self.off: set[str] = set()
        self.liveness: LayerLiveness[str] = LayerLiveness()
        self.progress = dict.fromkeys(rates, LayerProgress(0, 0, 0.0))
        self.now = 0
        self.stalled: frozenset[str] = frozenset()

    def run(self, milliseconds: int) -> None:
        for _ in range(milliseconds // 10):
            self.now += 10 * MS
            for layer, rate in self.rates.items():
                frames, last, _, _ = self.progress[layer]
                if layer not in self.off and self.now - last >= SECOND / rate:
                    self.progress[layer] = LayerProgress(frames + 1, self.now, rate)
            if self.now % (100 * MS) == 0:
                self.stalled = self.liveness.update(self.progress, self.now, lowest="q")

    def stall(self, layer: str) -> None:
        self.off = {layer}
        self.run(400)
        assert self.stalled == {layer}
        self.off = set()


def test_a_layer_that_stops_is_stalled_soon_and_counts_again_when_it_has_flowed_a_while() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(2000)
    assert track.stalled == set()
    track.stall("f")
    track.run(1800)
    assert track.stalled == {"f"}
    track.run(500)
    assert track.stalled == set()


def test_a_stall_is_known_after_five_missed_frames() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(1000)
    track.off = {"f"}
    track.run(100)
    assert track.stalled == set()
    track.run(100)
    assert track.stalled == {"f"}


def test_more_patience_is_needed_with_a_screen() -> None:
    track = Track(q=5, f=15)
    track.liveness = LayerLiveness(is_screen=True)
    track.run(2000)
    track.off = {"q"}
    track.run(3900)
    assert track.stalled == set()
    track.run(500)
    assert track.stalled == {"q"}


def test_the_lowest_layer_counts_again_soon() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(2000)
    track.stall("q")
    track.run(300)
    assert track.stalled == {"q"}
    track.run(500)
    assert track.stalled == set()


def test_a_layer_that_comes_for_a_second_each_time_is_not_followed() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(1000)
    track.stall("f")
    for _ in range(4):
        track.run(1000)
        assert track.stalled == {"f"}
        track.stall("f")


def test_a_layer_that_sinks_is_left_while_it_flows_and_counts_again_when_it_has_not_for_a_while() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(1000)
    for _ in range(20):
        track.run(90)
        assert track.liveness.update(track.progress, track.now, lowest="q", sinking={"f"}) == {"f"}
    track.run(1800)
    assert track.stalled == {"f"}
    track.run(500)
    assert track.stalled == set()


def test_a_layer_that_stalls_again_soon_must_flow_for_longer() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(1000)
    for wait in (2000, 4000, 8000, 8000):
        track.stall("f")
        track.run(wait - 300)
        assert track.stalled == {"f"}
        track.run(600)
        assert track.stalled == set()
    track.run(20_000)
    track.stall("f")
    track.run(2300)
    assert track.stalled == set()


def test_a_layer_that_stalled_and_then_rests_must_flow_when_it_comes_back() -> None:
    track = Track(q=30, f=30)
    track.run(1000)
    track.stall("f")
    others = {"q": track.progress["q"]}
    assert track.liveness.update(others, track.now, lowest="q", resting={"f"}) == {"f"}
    track.run(1500)
    assert track.stalled == {"f"}


def test_a_picture_that_stands_still_in_all_layers_is_no_stall() -> None:
    track = Track(q=30, f=30)
    track.run(1000)
    track.off = {"q", "f"}
    track.run(3000)
    assert track.stalled == set()


def test_a_layer_may_be_slower_than_its_siblings() -> None:
    track = Track(q=30, f=4)
    track.run(1500)
    for _ in range(30):
        track.run(100)
        assert track.stalled == set()


def test_a_layer_may_pause_after_a_keyframe() -> None:
    track = Track(q=30, f=30)
    track.run(1000)
    track.off = {"q"}
    track.progress["q"] = track.progress["q"]._replace(after_keyframe=True)
    track.run(700)
    assert track.stalled == set()
    track.run(200)
    assert track.stalled == {"q"}


def test_layers_that_are_gone_are_forgotten() -> None:
    track = Track(q=30, f=30)
    track.run(500)
    track.off = {"f"}
    track.run(500)
    assert track.stalled == {"f"}
    assert track.liveness.update({"q": track.progress["q"]}, track.now) == set()


def test_a_layer_that_returns_on_request_after_a_higher_one_stalled_must_flow_for_a_while() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(1000)
    track.stall("f")
    track.off = {"f"}
    assert track.liveness.update(track.progress, track.now, lowest="q", returned=["h"]) == {"h", "f"}
    track.run(1800)
    assert track.stalled == {"h", "f"}
    track.run(400)
    assert track.stalled == {"f"}


def test_a_layer_that_returns_on_request_counts_at_once_if_none_has_stalled() -> None:
    track = Track(q=30, h=30, f=30)
    track.run(1000)
    assert not track.liveness.update(track.progress, track.now, lowest="q", returned=["h"])
