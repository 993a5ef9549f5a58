"""The order and the costs of a track's layers."""

from sfu.formats.codecs import Codec
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.peers.layers.layer_ladder import LayerLadder
from sfu.peers.publish.ingress_stream import IngressStream

MS = 1_000_000
SECOND = 1000 * MS


def stream(number: int, rid: str) -> IngressStream:
    return IngressStream(number, 1000 + number, Codec.VP8, 90_000, rid=rid)


def flow(entry: IngressStream, rate: int, begin: int, seconds: int) -> None:
    progress = entry.progress
    assert isinstance(progress, StreamProgress)
    for tick in range(seconds * 20):
        at = begin + tick * 50 * MS
        size = rate // 8 // 20
        progress.take(tick, at, tick * 4500, size)


def test_unmeasured_layers_cost_what_cameras_usually_do() -> None:
    ladder = LayerLadder()
    layers = [stream(1, "q"), stream(2, "h"), stream(3, "f")]
    ladder.observe(layers, 0)
    assert [ladder.cost(layer) for layer in layers] == [150_000, 500_000, 1_700_000]


def test_layers_that_flow_are_ordered_by_what_they_cost() -> None:
    """Listed highest first."""
    ladder = LayerLadder()
    high, low = stream(1, "f"), stream(2, "q")
    flow(high, 1_000_000, 0, 3)
    flow(low, 100_000, 0, 3)
    ladder.observe([high, low], 3 * SECOND)
    assert ladder.available == [low, high]
    assert 80_000 < ladder.cost(low) < 120_000


def test_layers_of_like_cost_keep_their_places() -> None:
    ladder = LayerLadder()
    first, second = stream(1, "a"), stream(2, "b")
    flow(first, 110_000, 0, 3)
    flow(second, 100_000, 0, 3)
    ladder.observe([first, second], 3 * SECOND)
    assert ladder.available == [first, second]


def test_sizes_order_layers_whatever_they_cost() -> None:
    """A flat picture in AV1: the largest costs less than a smaller one."""
    ladder = LayerLadder()
    low, middle, high = stream(1, "q"), stream(2, "h"), stream(3, "f")
    for layer, rate, pixels in ((low, 30_000, 57_600), (middle, 100_000, 230_400), (high, 60_000, 921_600)):
        layer.pixels = pixels
        flow(layer, rate, 0, 3)
    ladder.observe([high, low, middle], 3 * SECOND)
    assert ladder.available == [low, middle, high]


def test_a_layer_that_its_publisher_stopped_cannot_be_had() -> None:
    ladder = LayerLadder()
    first, second = stream(1, "q"), stream(2, "f")
    flow(first, 100_000, 0, 10)
    flow(second, 900_000, 0, 3)
    ladder.observe([first, second], 10 * SECOND)
    assert ladder.available == [first]


def test_a_layer_that_rests_because_nobody_wanted_it_can() -> None:
    ladder = LayerLadder()
    first, second = stream(1, "q"), stream(2, "f")
    flow(first, 100_000, 0, 3)
    flow(second, 900_000, 0, 3)
    ladder.observe([first, second], 3 * SECOND)
    assert ladder.demand([first], 3 * SECOND) == ["q", "f"]
    assert ladder.demand([first], 13 * SECOND) == ["q"]
    flow(first, 100_000, 3 * SECOND, 20)
    ladder.observe([first, second], 23 * SECOND)
    assert ladder.available == [first, second]
    assert ladder.cost(second) > 500_000
    assert ladder.demand([second], 23 * SECOND) == ["q", "f"]


def test_no_layer_is_stopped_while_a_wanted_one_falls() -> None:
    ladder = LayerLadder()
    layers = [stream(1, "q"), stream(2, "h"), stream(3, "f")]
    for layer, rate in zip(layers, (100_000, 400_000, 1_700_000), strict=True):
        flow(layer, rate, 0, 5)
        ladder.observe(layers, 5 * SECOND)
    assert ladder.demand([layers[2]], 5 * SECOND) == ["q", "h", "f"]
    flow(layers[2], 600_000, 13 * SECOND, 3)
    assert ladder.demand([layers[2]], 15500 * MS) == ["q", "h", "f"]
    flow(layers[2], 1_700_000, 16 * SECOND, 3)
    ladder.observe(layers, 19 * SECOND)
    assert ladder.demand([layers[2]], 24 * SECOND) == ["q", "h", "f"]
    assert ladder.demand([layers[2]], 26 * SECOND) == ["q", "f"]


def sinking(*, highest: int, middle: int, waits: bool) -> bool:
    """Let the rates (bits/s) of the two higher layers change; return whether the highest one is left."""
    ladder = LayerLadder()
    layers = [stream(1, "q"), stream(2, "h"), stream(3, "f")]
    for layer, rate in zip(layers, (150_000, 400_000, 1_700_000), strict=True):
        flow(layer, rate, 0, 5)
    ladder.observe(layers, 5 * SECOND)
    for layer, rate in zip(layers, (150_000, middle, highest), strict=True):
        flow(layer, rate, 5 * SECOND, 3)
    changed = ladder.watch(layers, 8 * SECOND, waits=waits)
    assert changed == layers[2].stalled
    return changed


def test_a_highest_layer_that_sinks_while_packets_wait_is_left_before_it_ends() -> None:
    assert sinking(highest=700_000, middle=400_000, waits=True)
    assert not sinking(highest=700_000, middle=400_000, waits=False)
    assert not sinking(highest=1_200_000, middle=400_000, waits=True)


def test_a_picture_that_moves_less_is_no_layer_that_sinks() -> None:
    assert not sinking(highest=700_000, middle=200_000, waits=True)


def test_a_layer_that_rested_counts_from_its_first_packet() -> None:
    """It was silent while others flowed because it was told to be."""
    ladder = LayerLadder()
    first, second = layers = [stream(1, "q"), stream(2, "f")]
    for layer in layers:
        flow(layer, 500_000, 0, 3)
    ladder.observe(layers, 3 * SECOND)
    ladder.demand([first], 3 * SECOND)
    ladder.demand([first], 13 * SECOND)
    for tenth in range(30, 230):
        flow(first, 500_000, tenth * SECOND // 10, 1)
        ladder.watch(layers, tenth * SECOND // 10)
    assert not second.stalled
    ladder.demand([second], 23 * SECOND)
    flow(first, 500_000, 23 * SECOND, 1)
    assert not ladder.watch(layers, 23 * SECOND + 400 * MS)
    ladder.observe(layers, 23 * SECOND + 400 * MS)
    assert ladder.available == layers
    flow(second, 500_000, 23 * SECOND + 400 * MS, 1)
    assert ladder.watch(layers, 23 * SECOND + 500 * MS)
    assert second.active(23 * SECOND + 500 * MS)


def test_a_layer_that_does_not_come_back_cannot_be_had() -> None:
    ladder = LayerLadder()
    first, second = layers = [stream(1, "q"), stream(2, "f")]
    for layer in layers:
        flow(layer, 500_000, 0, 3)
    ladder.observe(layers, 3 * SECOND)
    ladder.demand([first], 3 * SECOND)
    ladder.demand([first], 13 * SECOND)
    ladder.demand([second], 13 * SECOND)
    flow(first, 500_000, 3 * SECOND, 12)
    ladder.observe(layers, 15 * SECOND)
    assert ladder.available == [first]


def test_a_single_stream_rests_while_nobody_wants_it() -> None:
    ladder = LayerLadder()
    only = stream(1, "")
    flow(only, 100_000, 0, 3)
    ladder.observe([only], 3 * SECOND)
    assert ladder.demand([], 3 * SECOND) == [""]
    assert not ladder.rests
    assert ladder.demand([], 13 * SECOND) == []
    assert ladder.rests
    ladder.observe([only], 13 * SECOND)
    assert ladder.available == [only]
    assert ladder.demand([only], 14 * SECOND) == [""]
    assert not ladder.rests


def test_streams_that_no_rid_tells_apart_never_rest() -> None:
    ladder = LayerLadder()
    layers = [stream(1, ""), stream(2, "")]
    for layer in layers:
        flow(layer, 100_000, 0, 3)
    ladder.observe(layers, 3 * SECOND)
    assert ladder.demand([], 3 * SECOND) is None
    assert ladder.demand([], 30 * SECOND) is None


def test_a_keyframe_costs_no_layer() -> None:
    """One second of five times the rate is the price of a switch, not of the layer."""
    ladder = LayerLadder()
    layer = stream(1, "f")
    for second in range(6):
        flow(layer, 5_000_000 if second == 3 else 1_000_000, second * SECOND, 1)
        ladder.observe([layer], (second + 1) * SECOND)
        if second:
            assert 800_000 < ladder.cost(layer) < 1_300_000


def test_a_rate_that_has_risen_for_good_is_believed_in_a_few_seconds() -> None:
    ladder = LayerLadder()
    layer = stream(1, "f")
    for second in range(12):
        flow(layer, 2_000_000 if second >= 6 else 1_000_000, second * SECOND, 1)
        ladder.observe([layer], (second + 1) * SECOND)
    assert 1_800_000 < ladder.cost(layer) < 2_200_000


def test_a_new_page_does_not_make_a_screen_dear() -> None:
    """Ten windows count, of cameras five."""
    costs = []
    for is_screen in (False, True):
        ladder = LayerLadder(is_screen=is_screen)
        only = stream(1, "")
        for second, rate in enumerate([100_000] * 7 + [2_000_000] * 4):
            flow(only, rate, second * SECOND, 1)
            ladder.observe([only], (second + 1) * SECOND)
        costs.append(ladder.cost(only))
    assert costs[0] > 1_500_000
    assert costs[1] < 150_000


def test_a_screen_with_few_frames_is_left_to_its_viewers() -> None:
    """A camera with them is left, since a smaller picture moves."""
    left = []
    for is_screen in (False, True):
        ladder = LayerLadder(is_screen=is_screen)
        small, large = stream(1, "q"), stream(2, "f")
        small.pixels, large.pixels = 100, 400
        for second in range(6):
            flow(small, 100_000, second * SECOND, 1)
            progress = large.progress
            assert isinstance(progress, StreamProgress)
            for tick in range(10):
                progress.take(second * 10 + tick, second * SECOND + tick * 100 * MS, second * 90_000, 10_000)
            ladder.observe([small, large], (second + 1) * SECOND)
        left.append(large not in ladder.available)
    assert left == [True, False]
