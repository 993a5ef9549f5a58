"""Overload in virtual time: a node with many rooms whose work takes more time than there is."""

import itertools
from dataclasses import dataclass

import pytest

from sfu.machines.shedding import LAST_STEP, NOTHING, WINDOW_NS, Measured, Shed, Shedding

SECOND = 1_000_000_000
WINDOW = WINDOW_NS / SECOND
SOUND, SMALL, LARGE = 0.15, 0.3, 0.55  # of the work that a room makes
UNREAD = 0.1  # of what it costs to forward, to drop unread
BUFFER = 0.16  # seconds of work that sockets and backlog hold


@dataclass
class Window:
    """The result of a window of time: seconds of work, the step, whether all sound passed."""

    done: float
    offered: float
    step: int
    is_sound_whole: bool


class Node:
    """Forwards what it has time for; what it has no time for waits, up to a bound. Sound goes first."""

    def __init__(self, rooms: int = 40) -> None:
        self.shedding = Shedding()
        self.rooms = rooms
        self.now = 1000 * SECOND
        self.waits = 0.0
        self.windows: list[Window] = []

    def run(self, seconds: float, load: float, capacity: float = 1.0) -> list[Window]:
        """Offer so much of the node's capacity for a while."""
        begun = len(self.windows)
        for _ in range(round(seconds / WINDOW)):
            self._window(load * WINDOW, capacity * WINDOW)
        return self.windows[begun:]

    def _window(self, offered: float, capacity: float) -> None:
        shed = self.shedding.shed
        sound = offered * SOUND
        large = offered * LARGE * (1 - self._rooms(max(shed.small, shed.sound_only)))
        small = offered * SMALL * (1 - self._rooms(shed.sound_only))
        unread = (offered * (LARGE + SMALL) - large - small) * UNREAD
        video = large + small
        left = max(0.0, capacity - sound - unread)
        self.waits += video
        done = min(self.waits, left)
        self.waits -= done
        lost = max(0.0, self.waits - BUFFER)
        self.waits -= lost
        waited = int(self.waits / max(left, 1e-9) * WINDOW_NS) if left else 10 * WINDOW_NS
        busy = min(1.0, (sound + unread + done) / max(capacity, 1e-9))
        self.now += WINDOW_NS
        self.shedding.update(Measured(waited, 0, int(lost * 20_000), busy), self.now)
        whole = sound + unread <= capacity
        self.windows.append(Window(done + min(sound, capacity), offered, self.shedding.step, whole))

    def _rooms(self, share: float) -> float:
        """The share of rooms that a share of the participants makes: whole rooms."""
        return -(-round(share * self.rooms * 1000) // 1000) / self.rooms if share else 0.0


@pytest.mark.parametrize("rooms", [40, 5, 1])
def test_half_as_much_again_as_there_is_time_for(rooms: int) -> None:
    """A minute of it: sound whole, at least 70 % of what a healthy node forwards, back to normal within 2 s."""
    node = Node(rooms)
    node.run(5, 0.8)
    assert node.shedding.shed == NOTHING
    minute = node.run(60, 1.5)
    assert all(window.is_sound_whole for window in minute)
    assert sum(window.done for window in minute) >= 0.7 * 60
    after = node.run(2, 0.7)
    assert after[-1].step == 0
    assert node.run(10, 0.7)[-1].step == 0


def test_a_pause_at_80_percent_is_over_within_a_second() -> None:
    """Ten times the process stands still for half a second."""
    node = Node()
    for _ in range(10):
        node.run(3, 0.8)
        node.run(0.5, 0.8, capacity=0.0)
        after = node.run(1, 0.8)
        assert after[-1].step == 0
        assert after[-1].done >= 0.99 * after[-1].offered


def test_pauses_in_a_row_are_over_two_seconds_after_the_last() -> None:
    """Each comes while what the one before took is on its way back."""
    node = Node()
    node.run(5, 0.8)
    for _ in range(6):
        node.run(0.5, 0.8, capacity=0.0)
        node.run(0.4, 0.8)
    assert node.windows[-1].step > 4
    assert node.run(2, 0.8)[-1].step == 0


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
def test_a_node_with_time_enough_leaves_nothing_out(load: float) -> None:
    assert {window.step for window in Node().run(60, load)} == {0}


def test_what_is_left_out_settles() -> None:
    """Rooms do not lose and regain their video all the time."""
    node = Node()
    node.run(10, 1.5)
    steps = [window.step for window in node.run(50, 1.5)]
    assert max(steps) - min(steps) <= 4
    assert sum(one != other for one, other in itertools.pairwise(steps)) <= 2 * 50


def test_no_load_is_too_much_for_sound() -> None:
    """Four times as much as there is time for: everything but sound is left out, and sound passes."""
    node = Node()
    windows = node.run(20, 4.0)
    assert all(window.is_sound_whole for window in windows)
    assert windows[-1].step > 10


def test_the_order_is_reports_then_small_pictures_then_sound_only_then_screens() -> None:
    seen: list[Shed] = []
    shedding = Shedding()
    for step in range(LAST_STEP + 1):
        shedding.step = step
        seen.append(shedding.shed)
    assert seen[0] == NOTHING
    assert seen[1] == Shed(sparing=True)
    for before, shed in itertools.pairwise(seen):
        assert shed.small >= before.small and shed.sound_only >= before.sound_only
        assert shed.small == 1 or shed.sound_only == 0
        assert not shed.screens or shed.sound_only == 1
    assert seen[-1] == Shed(sparing=True, small=1, sound_only=1, screens=True)


def test_policy_that_is_late_alone_costs_no_pictures() -> None:
    """Many begin at once, and packets do not wait for that."""
    shedding = Shedding()
    for number in range(30):
        shedding.update(Measured(0, 500_000_000 + number, 0, 1.0), number * WINDOW_NS)
    assert shedding.shed == Shed(sparing=True)
    shedding.update(Measured(0, 0, 0, 0.5), 30 * WINDOW_NS)
    assert shedding.shed == NOTHING


def test_one_bad_window_is_no_overload_and_what_drains_by_itself_is_left_alone() -> None:
    shedding = Shedding()
    bad, fine = Measured(200_000_000, 0, 0, 1.0), Measured(0, 0, 0, 0.5)
    assert not shedding.update(bad, 0)
    assert not shedding.update(fine, WINDOW_NS)
    assert not shedding.update(bad, 2 * WINDOW_NS)
    assert shedding.update(bad, 3 * WINDOW_NS)
    easier = Measured(100_000_000, 0, 0, 1.0)
    assert not shedding.update(easier, 4 * WINDOW_NS)
    assert shedding.update(Measured(110_000_000, 0, 0, 1.0), 5 * WINDOW_NS)
