"""Allocation within the estimate, without flapping."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.machines.layers.layer_allocator import PAUSED, Demand, LayerAllocator, Rank

SECOND = 1_000_000_000
CAMERA = (150_000.0, 500_000.0, 1_700_000.0)
AUDIO = 40_000.0


def tile(key: str, pixels: int = 100, layers: tuple[float, ...] = CAMERA) -> Demand[str]:
    return Demand(key, Rank.TILE, layers, pixels)


def layers_of(estimate: float, *demands: Demand[str], audio: float = 0.0) -> dict[str, int]:
    grants = LayerAllocator[str]().allocate(estimate, audio, demands, 0).grants
    return {key: grant.layer for key, grant in grants.items()}


def test_all_get_the_best_when_there_is_room() -> None:
    assert layers_of(10e6, tile("a"), tile("b")) == {"a": 2, "b": 2}


def test_audio_comes_off_first() -> None:
    assert layers_of(500_000, tile("a"), audio=AUDIO) == {"a": 0}


def test_nothing_fits_below_audio() -> None:
    assert layers_of(30_000, tile("a"), audio=AUDIO) == {"a": PAUSED}


def test_an_estimate_of_exactly_the_costs_is_enough() -> None:
    audio, picture = 56_188 / 3, 194_712 / 7
    assert audio + picture - audio < picture
    assert layers_of(audio + picture, tile("a", layers=(picture,)), audio=audio) == {"a": 0}


def test_a_screen_comes_before_the_speaker_before_tiles() -> None:
    screen = Demand("screen", Rank.SCREEN, (1_000_000.0,))
    speaker = Demand("speaker", Rank.SPEAKER, CAMERA)
    assert layers_of(1_100_000, tile("t"), speaker, screen) == {"screen": 0, "speaker": PAUSED, "t": PAUSED}
    assert layers_of(1_550_000, tile("t"), speaker, screen) == {"screen": 0, "speaker": 1, "t": PAUSED}


def test_tiles_all_move_before_any_of_them_rises() -> None:
    assert layers_of(900_000, tile("a"), tile("b"), tile("c")) == {"a": 1, "b": 0, "c": 0}


def test_larger_tiles_come_first() -> None:
    assert layers_of(320_000, tile("a", 1), tile("b", 9), tile("c", 5)) == {"a": PAUSED, "b": 0, "c": 0}


def test_twenty_five_publishers_at_two_megabits() -> None:
    speaker = Demand("speaker", Rank.SPEAKER, CAMERA)
    granted = layers_of(2e6, speaker, *(tile(f"t{n}") for n in range(24)), audio=AUDIO)
    assert granted["speaker"] == 2
    assert sum(layer == 0 for layer in granted.values()) == 1
    assert sum(layer == PAUSED for layer in granted.values()) == 23


def test_a_track_of_which_nothing_flows_takes_nothing() -> None:
    assert layers_of(1e6, tile("a", layers=())) == {"a": PAUSED}


def test_what_all_would_cost_is_told() -> None:
    assert LayerAllocator[str]().allocate(1e5, 0, [tile("a"), tile("b")], 0).wanted == 3_400_000


def test_rising_needs_headroom() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(200_000, 0, [tile("a")], 0)
    assert allocator.allocate(510_000, 0, [tile("a")], 60 * SECOND).grants["a"].layer == 0
    assert allocator.allocate(580_000, 0, [tile("a")], 60 * SECOND).grants["a"].layer == 1


def test_to_come_back_at_its_least_takes_little_headroom() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(100_000, 0, [tile("a")], 0)
    assert allocator.allocate(155_000, 0, [tile("a")], 60 * SECOND).grants["a"].layer == PAUSED
    assert allocator.allocate(160_000, 0, [tile("a")], 60 * SECOND).grants["a"].layer == 0


def test_where_others_are_shown_it_takes_as_much_as_any_rise() -> None:
    allocator = LayerAllocator[str]()
    demands = [Demand("speaker", Rank.SPEAKER, (500_000.0,)), tile("a")]
    for estimate, layer in ((600_000, PAUSED), (660_000, PAUSED), (700_000, 0)):
        granted = allocator.allocate(estimate, 0, demands, estimate // 10_000 * SECOND).grants
        assert (granted["speaker"].layer, granted["a"].layer) == (0, layer)


def test_what_is_paused_never_waits_for_long() -> None:
    allocator = LayerAllocator[str]()
    for second in range(60):  # it comes and goes, and waits longer and longer
        allocator.allocate(160_000 if second % 2 else 140_000, 0, [tile("a")], second * SECOND)
    allocator.allocate(140_000, 0, [tile("a")], 60 * SECOND)
    assert allocator.allocate(160_000, 0, [tile("a")], 65 * SECOND).grants["a"].layer == 0


def test_after_a_long_pause_it_comes_back_without_headroom_and_then_waits_longer() -> None:
    allocator = LayerAllocator[str]()
    layers = []
    for second in range(60):  # its estimated cost fits until it is sent
        estimate = 150_000 if not layers or layers[-1] == PAUSED else 140_000
        layers.append(allocator.allocate(estimate, 0, [tile("a")], second * SECOND).grants["a"].layer)
    assert [second for second, layer in enumerate(layers) if layer != PAUSED] == [0, 9, 18, 27, 44]


def test_what_is_carried_is_kept_without_headroom() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(600_000, 0, [tile("a")], 0)
    assert allocator.allocate(500_000, 0, [tile("a")], SECOND).grants["a"].layer == 1


def test_after_a_fall_it_waits_before_it_rises() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(2e6, 0, [tile("a")], 0)
    allocator.allocate(600_000, 0, [tile("a")], 60 * SECOND)
    assert allocator.allocate(4e6, 0, [tile("a")], 60 * SECOND + SECOND // 2).grants["a"].layer == 1
    assert allocator.allocate(4e6, 0, [tile("a")], 61 * SECOND).grants["a"].layer == 2


def test_a_fall_is_at_once() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(2e6, 0, [tile("a")], 0)
    assert allocator.allocate(100_000, 0, [tile("a")], 1).grants["a"].layer == PAUSED


def test_a_rise_that_did_not_last_makes_the_next_one_wait_longer() -> None:
    allocator = LayerAllocator[str]()
    changes = []
    before = PAUSED
    for tenth in range(1200):
        estimate = 600_000 if tenth // 10 % 2 else 450_000
        layer = allocator.allocate(estimate, 0, [tile("a")], tenth * SECOND // 10).grants["a"].layer
        changes.append(layer != before)
        before = layer
    assert sum(changes[:300]) <= 10
    assert sum(changes[600:]) <= 8


def risen(estimates: tuple[float, ...]) -> LayerAllocator[str]:
    """After estimates a tenth of a second apart."""
    allocator = LayerAllocator[str]()
    for tenth, estimate in enumerate(estimates):
        allocator.allocate(estimate, 0, [tile("a")], tenth * SECOND // 10)
    return allocator


ENOUGH = 600_000  # for the middle layer, and not ample


def test_a_fall_of_two_layers_counts_once() -> None:
    layers = (150_000.0, 400_000.0, 500_000.0)
    allocator = LayerAllocator[str]()
    for tenth, estimate in enumerate((200_000, 480_000, 630_000, 450_000, 390_000)):
        granted = allocator.allocate(estimate, 0, [tile("a", layers=layers)], tenth * SECOND // 10)
    assert granted.grants["a"].layer == 0
    assert allocator.allocate(480_000, 0, [tile("a", layers=layers)], 2 * SECOND).grants["a"].layer == 0
    assert allocator.allocate(480_000, 0, [tile("a", layers=layers)], 3 * SECOND).grants["a"].layer == 1


def test_a_rise_is_not_to_blame_when_the_estimate_falls_far_below_what_it_was() -> None:
    too_bold, link_fell = risen((450_000, 600_000, 400_000)), risen((450_000, 600_000, 300_000))
    for allocator, layer in ((too_bold, 0), (link_fell, 1)):
        assert allocator.allocate(ENOUGH, 0, [tile("a")], 2 * SECOND).grants["a"].layer == layer


def test_while_a_rise_must_wait_ample_room_is_wanted_to_cut_that_short() -> None:
    allocator = LayerAllocator[str]()
    best = allocator.allocate(4e6, 0, [tile("a")], 0).wanted
    assert allocator.allocate(600_000, 0, [tile("a")], SECOND).wanted > 1.2 * best
    assert allocator.allocate(600_000, 0, [tile("a")], 60 * SECOND).wanted == best


def test_with_ample_room_the_longer_wait_is_cut_short() -> None:
    allocator = LayerAllocator[str]()
    for tenth in range(600):  # it rises and falls, and waits longer and longer
        allocator.allocate(600_000 if tenth // 10 % 2 else 450_000, 0, [tile("a")], tenth * SECOND // 10)
    for tenth in range(600, 640):
        allocator.allocate(450_000, 0, [tile("a")], tenth * SECOND // 10)
    later = 64 * SECOND
    assert allocator.allocate(650_000, 0, [tile("a")], later).grants["a"].layer == 0
    assert allocator.allocate(1_200_000, 0, [tile("a")], later).grants["a"].layer == 1


@pytest.mark.parametrize("seed", range(5))
def test_noisy_bitrates_do_not_make_it_flap(seed: int) -> None:
    dice = random.Random(seed)
    allocator = LayerAllocator[str]()
    before, changes = PAUSED, 0
    for tick in range(300):
        layers = tuple(rate * dice.uniform(0.9, 1.1) for rate in CAMERA)
        layer = allocator.allocate(520_000, 0, [tile("a", layers=layers)], tick * SECOND // 5).grants["a"].layer
        changes += layer != before
        before = layer
    assert changes <= 14  # a minute


def test_a_smaller_picture_is_no_fall_to_recover_from() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(5e6, 0, [tile("a")], 0)
    allocator.allocate(5e6, 0, [tile("a", layers=CAMERA[:1])], SECOND)
    assert allocator.allocate(5e6, 0, [tile("a")], SECOND + 1).grants["a"].layer == 2


def test_what_left_is_forgotten() -> None:
    allocator = LayerAllocator[str]()
    allocator.allocate(2e6, 0, [tile("a")], 0)
    allocator.allocate(2e5, 0, [tile("a")], 1)
    allocator.allocate(2e6, 0, [], 2)
    assert allocator.allocate(2e6, 0, [tile("a")], 3).grants["a"].layer == 2


rates = st.lists(st.floats(1_000, 3e6), max_size=4).map(lambda values: tuple(sorted(values)))
demands = st.lists(
    st.builds(Demand, st.integers(0, 9), st.sampled_from(Rank), rates, st.integers(0, 10**6)),
    max_size=10,
    unique_by=lambda demand: demand.key,
)


@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 1e6), demands, st.integers(0, 5 * SECOND)), max_size=8))
def test_allocation_never_exceeds_the_estimate(steps: list[tuple[float, float, list[Demand[int]], int]]) -> None:
    allocator = LayerAllocator[int]()
    now = 0
    for estimate, audio, wanted, elapsed in steps:
        now += elapsed
        allocation = allocator.allocate(estimate, audio, wanted, now)
        assert allocation.total <= max(0.0, estimate - audio) + estimate * 1e-8
        assert allocation.total == sum(grant.bitrate for grant in allocation.grants.values())
        assert set(allocation.grants) == {demand.key for demand in wanted}


@given(st.floats(0, 1e7), demands)
def test_more_room_never_grants_less_in_total(estimate: float, wanted: list[Demand[int]]) -> None:
    """Of the most important demand, since others may lose what it gains. A tile rises only after all others move."""
    if not wanted:
        return
    first = min(wanted, key=lambda demand: (demand.rank, -demand.pixels))
    less = LayerAllocator[int]().allocate(estimate, 0, wanted, 0).grants[first.key].layer
    more = LayerAllocator[int]().allocate(estimate * 1.5, 0, wanted, 0).grants[first.key].layer
    assert more >= (min(less, 0) if first.rank is Rank.TILE else less)
