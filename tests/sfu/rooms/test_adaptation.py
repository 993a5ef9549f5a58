"""Adaptation to links of all kinds, and layers that publishers may stop, in simulated time."""

from itertools import pairwise

import pytest

from sfu.api import signaling, signaling_values
from sfu.flight.recorder import Kind, entries
from sfu.rooms import statistics
from sfu.rooms.adaptation import Adaptation
from tests.sfu.rooms.simulcast_call import RATES, Call
from tests.sfu.rooms.stage import MS, SECOND, Stage
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)


def pauses(call: Call) -> list[tuple[bool, str]]:
    return [(state.paused, state.reason) for state in call.bob.of(signaling.TrackState)]


def seconds_until(call: Call, rids: set[str], within: int) -> int:
    for second in range(within):
        if call.carried() in rids:
            return second
        call.run(1)
    return within


def test_a_wide_link_gets_the_best_layer() -> None:
    call = Call(WIDE)
    call.run(3)
    assert call.carried() == "f"
    assert call.estimate > RATES["f"]
    assert pauses(call) == []


def test_a_flat_picture_is_shown_large_though_a_smaller_one_costs_more() -> None:
    call = Call(WIDE)
    call.cameras[0].rates = {"q": 30_000, "h": 100_000, "f": 60_000}
    call.run(8)
    assert call.carried() == "f"


def test_a_narrower_link_gets_a_lower_layer_and_no_queue() -> None:
    call = Call(WIDE)
    call.run(5)
    call.viewer.link.change(call.stage.now, rate=750_000)
    call.run(4)
    begin = call.stage.now
    call.run(8)
    assert call.carried() in {"h", "q"}
    late = [queueing for at, queueing in call.viewer.queueing if at > begin]
    assert sorted(late)[int(len(late) * 0.95)] < 100 * MS
    assert pauses(call) == []


def test_a_short_dip_that_the_queue_carries_costs_no_layer() -> None:
    call = Call(LinkSettings(rate=3_000_000, delay=25 * MS))
    call.run(8)
    carried = []
    for rate in (1_650_000, 3_000_000):
        call.viewer.link.change(call.stage.now, rate=rate)
        for _ in range(10):
            call.run(0.1)
            carried.append(call.carried())
    assert set(carried) == {"f"}
    assert max(queueing for _, queueing in call.viewer.queueing) < 200 * MS


def test_a_link_that_narrows_much_costs_one_switch_and_its_queue_is_gone_soon() -> None:
    """A layer that barely fits would keep the queue full, and be replaced by a lower one in the end."""
    call = Call(LinkSettings(rate=3_000_000, delay=25 * MS, jitter=4 * MS))
    call.run(10)
    assert call.carried() == "f"
    call.viewer.link.change(call.stage.now, rate=650_000)
    carried = []
    for _ in range(12):
        call.run(0.1)
        carried.append(call.carried())
    assert set(carried) <= {"f", "", "q"}
    assert carried[-1] == "q"
    begin = call.stage.now
    call.run(2)
    assert max(queueing for at, queueing in call.viewer.queueing if at > begin) < 100 * MS


@pytest.mark.parametrize("seconds", [10.0, 10.2, 10.4])
def test_pictures_go_on_soon_after_a_link_narrows_much(seconds: float) -> None:
    """The next layer's keyframe waits neither for the rest of the previous layer nor for its repairs."""
    call = Call(LinkSettings(rate=3_000_000, delay=25 * MS))
    call.viewer.asks = True
    call.run(seconds)
    narrowed = call.stage.now
    call.viewer.link.change(narrowed, rate=600_000)
    call.run(5)
    gaps = [after - before for before, after in pairwise(call.viewer.pictures) if after > narrowed]
    assert max(gaps) < 800 * MS


def test_without_the_estimator_the_queue_stays_full() -> None:
    call = Call(WIDE, estimates=False)
    call.run(5)
    call.viewer.link.change(call.stage.now, rate=750_000)
    call.run(4)
    begin = call.stage.now
    call.run(4)
    late = [queueing for at, queueing in call.viewer.queueing if at > begin]
    assert sorted(late)[len(late) // 2] > 200 * MS


@pytest.mark.parametrize("seconds", [4.0, 4.25, 4.6])
def test_what_does_not_fit_is_paused_and_said_to_be_and_comes_back(seconds: float) -> None:
    call = Call(WIDE)
    call.run(seconds)
    call.viewer.link.change(call.stage.now, rate=110_000)
    call.run(8)
    assert call.carried() == ""
    assert pauses(call) == [(True, "bandwidth")]
    heard = sum(packet.payload_type == 111 for packet in call.viewer.client.rtp)
    call.run(2)
    assert sum(packet.payload_type == 111 for packet in call.viewer.client.rtp) - heard >= 55
    call.viewer.link.change(call.stage.now, rate=5_000_000)
    assert seconds_until(call, {"f"}, 10) <= 5
    call.run(0.5)
    assert pauses(call) == [(True, "bandwidth"), (False, "")]


@pytest.mark.parametrize("milliseconds", [20, 40])
def test_it_comes_back_though_a_busy_machine_sends_probes_too_slowly(milliseconds: int) -> None:
    call = Call(WIDE)
    call.run(4.6)
    call.stage.lateness = lambda: milliseconds * MS
    call.viewer.link.change(call.stage.now, rate=100_000)
    call.run(8)
    assert call.carried() == ""
    call.viewer.link.change(call.stage.now, rate=5_000_000)
    assert seconds_until(call, {"f"}, 15) <= 8


def test_a_pause_is_said_to_be_over_once_there_is_a_picture() -> None:
    call = Call(WIDE)
    call.run(4)
    call.viewer.link.change(call.stage.now, rate=110_000)
    call.run(8)
    call.viewer.link.change(call.stage.now, rate=5_000_000)
    shown = len(call.viewer.pictures)
    for _ in range(100):
        call.run(0.1)
        if pauses(call)[-1] == (False, ""):
            break
    assert pauses(call) == [(True, "bandwidth"), (False, "")]
    assert len(call.viewer.pictures) > shown


def test_a_link_that_just_about_carries_the_lowest_layer_shows_it_nearly_always() -> None:
    call = Call(LinkSettings(rate=200_000, delay=25 * MS))
    call.viewer.asks = True
    call.run(14)
    begin = call.stage.now
    carried = []
    for _ in range(100):
        call.run(0.1)
        carried.append(call.carried())
    assert carried.count("q") >= 90
    late = sorted(queueing for at, queueing in call.viewer.queueing if at > begin)
    assert late[int(len(late) * 0.95)] < 200 * MS


def test_it_comes_back_also_in_silence() -> None:
    """Nothing is sent but probes, and the pause outlasts what is cached of the picture."""
    call = Call(WIDE)
    call.run(3)
    for camera in call.cameras:
        camera.is_muted = True
    call.viewer.link.change(call.stage.now, rate=100_000)
    call.run(8)
    assert call.carried() == ""
    call.viewer.link.change(call.stage.now, rate=5_000_000)
    assert seconds_until(call, {"f"}, 8) <= 6


def test_nothing_is_probed_for_once_everybody_has_left() -> None:
    call = Call(WIDE)
    call.run(3)
    call.viewer.link.change(call.stage.now, rate=100_000)
    call.run(6)
    call.stage.say(call.cameras.pop().person, signaling.Leave())
    call.run(1)
    bandwidth = call.subscription.subscribe_peer.bandwidth
    assert bandwidth is not None
    before = bandwidth.probes
    call.run(12)
    assert bandwidth.probes == before


def test_only_the_size_shown_is_sent() -> None:
    call = Call(WIDE)
    call.run(2)
    wanted = signaling_values.WantedTrack(track=call.cameras[0].track, width=320, height=180)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
    call.run(2)
    assert call.carried() == "q"
    call.stage.say(
        call.bob, signaling.Subscribe(tracks=[signaling_values.WantedTrack(track=wanted.track, width=640, height=360)])
    )
    call.run(2)
    assert call.carried() == "h"


def test_the_size_counts_where_links_are_not_estimated_too() -> None:
    call = Call(WIDE, estimates=False)
    call.run(2)
    assert call.carried() == "f"
    wanted = signaling_values.WantedTrack(track=call.cameras[0].track, width=320, height=180)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
    call.run(2)
    assert call.carried() == "q"


def test_a_phone_that_was_upright_may_be_turned() -> None:
    call = Call(WIDE, sizes={"q": (180, 320), "h": (360, 640), "f": (720, 1280)})
    call.run(1)
    wanted = signaling_values.WantedTrack(track=call.cameras[0].track, width=1067, height=600)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
    call.run(1)
    assert call.carried() == "f"


def test_layers_nobody_watches_rest_and_are_back_within_a_second() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(2)
    small = signaling_values.WantedTrack(track=camera.track, width=320, height=180)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[small]))
    call.run(11)
    told = camera.person.last(signaling.Layers)
    assert (told.track, told.active) == (camera.track, ["q"])
    camera.resting = {"h", "f"}
    call.run(5)
    assert call.carried() == "q"
    large = signaling_values.WantedTrack(track=camera.track, width=1280, height=720)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[large]))
    call.run(0.3)
    assert "f" in camera.person.last(signaling.Layers).active
    camera.resting = set()
    call.run(0.3)
    assert call.carried() == "f"


def test_a_top_layer_that_had_never_come_is_asked_for_all_the_same() -> None:
    """Its publisher had no room for it while others were told to rest."""
    call = Call(WIDE)
    (camera,) = call.cameras
    camera.resting = {"f"}
    for (width, height), active in {(320, 180): ["q"], (1280, 720): ["q", "h", "f"]}.items():
        wanted = signaling_values.WantedTrack(track=camera.track, width=width, height=height)
        call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
        call.run(11)
        assert camera.person.last(signaling.Layers).active == active
    camera.resting = set()
    call.run(1)
    assert call.carried() == "f"


def test_without_watchers_no_layer_is_sent() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(2)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[signaling_values.WantedTrack(track=camera.track, on=False)]))
    call.run(11)
    assert camera.person.last(signaling.Layers).active == []


def test_of_a_hidden_video_nothing_is_sent_until_it_is_shown_again() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(2)
    for hidden, carried in ((True, ""), (False, "f")):
        wanted = signaling_values.WantedTrack(track=camera.track, hidden=hidden)
        call.stage.say(call.bob, signaling.Subscribe(tracks=[wanted]))
        call.run(2)
        assert call.carried() == carried
        assert camera.track in {slot.track for slot in call.bob.membership.participant.subscription.slots()}


def test_many_publishers_at_two_megabits_all_move_or_are_said_to_be_paused() -> None:
    call = Call(LinkSettings(rate=2_000_000, delay=20 * MS), cameras=12)
    call.run(12)
    paused = {state.track: state.paused for state in call.bob.of(signaling.TrackState)}
    for number, camera in enumerate(call.cameras):
        assert bool(call.carried(number)) != paused.get(camera.track, False)
    late = [queueing for at, queueing in call.viewer.queueing if at > call.stage.now - 4 * SECOND]
    assert sorted(late)[int(len(late) * 0.9)] < 150 * MS
    carried = [call.carried(number) for number in range(12)]
    assert {"f", "h"} & set(carried)  # regardless of the speaker


def test_random_loss_costs_no_layer() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS, loss=0.03))
    call.run(6)
    assert call.carried() == "f"


def test_in_a_large_room_everyone_has_a_turn() -> None:
    call = Call(WIDE)
    for number in range(30):
        call.stage.join(f"watcher-{number}")
    small = signaling_values.WantedTrack(track=call.cameras[0].track, width=320, height=180)
    call.run(2)
    assert call.carried() == "f"
    call.stage.say(call.bob, signaling.Subscribe(tracks=[small]))
    call.run(1.5)
    assert call.carried() == "q"


def allocations(call: Call) -> int:
    """Return how often layers were allocated to the viewer so far."""
    kept = entries(call.bob.membership.room.flight.raw())
    return sum(entry.kind is Kind.ALLOCATION and entry.who == "bob" for entry in kept)


def test_who_has_all_that_is_wanted_is_not_served_again_until_something_changes() -> None:
    call = Call(WIDE)
    call.run(8)
    assert call.carried() == "f"
    before = allocations(call)
    call.run(4)
    assert allocations(call) - before <= 3
    before = allocations(call)
    small = signaling_values.WantedTrack(track=call.cameras[0].track, width=320, height=180)
    call.stage.say(call.bob, signaling.Subscribe(tracks=[small]))
    call.run(0.3)
    assert call.carried() == "q"
    assert allocations(call) > before
    call.stage.say(
        call.bob, signaling.Subscribe(tracks=[signaling_values.WantedTrack(track=small.track, width=1280, height=720)])
    )
    call.run(4)
    assert call.carried() == "f"
    before = allocations(call)
    call.viewer.link.change(call.stage.now, rate=750_000)
    call.run(3)
    assert call.carried() in {"h", "q"}
    assert allocations(call) - before > 4


def test_a_layer_that_turns_out_dearer_is_weighed_again() -> None:
    call = Call(WIDE)
    call.run(8)
    before = allocations(call)
    call.cameras[0].resting.add("f")
    call.run(2)
    assert call.carried() == "h"
    assert allocations(call) > before


def test_a_layer_that_costs_somewhat_more_is_looked_for_room_for_and_not_weighed_again() -> None:
    call = Call(WIDE)
    call.run(8)
    bandwidth = call.subscription.subscribe_peer.bandwidth
    assert bandwidth is not None
    before, wanted = allocations(call), bandwidth.wanted
    call.cameras[0].rates["f"] = call.cameras[0].rates["f"] * 115 // 100
    call.run(6)
    assert allocations(call) == before
    assert bandwidth.wanted > 1.1 * wanted
    call.cameras[0].rates["f"] = call.cameras[0].rates["f"] * 6
    call.run(4)
    assert allocations(call) > before


def test_a_calm_room_is_surveyed_once_a_second_and_reacts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Call(WIDE)
    call.run(5)
    surveys: list[int] = []
    survey = Adaptation._observe

    def counted(self: Adaptation, now: int) -> None:
        surveys.append(now)
        survey(self, now)

    monkeypatch.setattr(Adaptation, "_observe", counted)
    call.run(3)
    assert 2 <= len(surveys) <= 4
    call.viewer.link.change(call.stage.now, rate=800_000)
    call.run(1.5)
    assert call.carried() != "f"
    assert len(surveys) >= 7


def test_a_room_that_closes_leaves_no_timer() -> None:
    stage = Stage()
    person = stage.join("ann")
    stage.say(person, signaling.Leave())
    assert stage.node.timer() is None


def test_statistics_tell_the_estimate_and_what_is_paused() -> None:
    call = Call(WIDE)
    call.run(2)
    room = call.bob.membership.room
    receiving = statistics.of_room(room, call.stage.now)[-1]["subscribe"]
    assert receiving["estimate"] == int(call.estimate)
    assert receiving["paused"] == []
    call.viewer.link.change(call.stage.now, rate=100_000)
    call.run(6)
    assert statistics.of_room(room, call.stage.now)[-1]["subscribe"]["paused"] == [call.cameras[0].track]


def test_a_top_layer_that_stalls_is_left_within_half_a_second() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(3)
    assert call.carried() == "f"
    camera.resting = {"f"}
    call.run(0.5)
    assert call.carried() == "h"
    camera.resting = set()
    call.run(3)
    assert call.carried() == "f"


def test_a_picture_that_stands_still_keeps_its_layer() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(3)
    camera.resting = set(RATES)
    call.run(1.5)
    assert call.carried() == "f"
    camera.resting = set()
    call.run(0.2)
    assert call.carried() == "f"


def sound_lost(call: Call, seconds: float) -> float:
    """The share of sound packets that never came, over a while."""
    before = len(call.viewer.client.rtp)
    call.run(seconds)
    seqs = {packet.seq for packet in call.viewer.client.rtp[before:] if packet.payload_type == 111}
    return 1 - len(seqs) / (max(seqs) - min(seqs) + 1)


def test_sound_goes_twice_over_a_lossy_link() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS, loss=0.1))
    call.run(3)
    assert sound_lost(call, 12) < 0.03


def test_without_estimates_nothing_is_sent_twice() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS, loss=0.1), estimates=False)
    call.run(3)
    assert sound_lost(call, 12) > 0.06


def test_a_clear_link_gets_each_packet_of_sound_once() -> None:
    call = Call(WIDE)
    call.run(3)
    subscription = call.bob.membership.participant.subscription
    assert subscription is not None
    assert subscription.subscribe_peer.audio_copies.times == 1
