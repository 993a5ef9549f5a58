"""The delay of a publisher's packets, and what feedback hides of it."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.machines.congestion.uplink_delay import UplinkDelay, UplinkWindow

MS = 1_000_000
TICK = 10  # ms between packets, of which five are one window
PACKETS = 5


def stamp_of(at: int) -> int:
    """Return the abs-send-time of `at` ns."""
    return (at << 18) // 1_000_000_000 & 0xFFFFFF


class Uplink:
    """Packets that take as long as told. `shown` are the delays (ms) that feedback shows."""

    def __init__(self, now: int = 0) -> None:
        self.delay = UplinkDelay()
        self.windows: list[UplinkWindow] = []
        self.shown: list[int] = []
        self.now = now  # ms, when the next packet leaves

    def take(self, *delays: int) -> None:
        """Let the packets of each window take this long (ms)."""
        for delay in delays:
            sent = [self.now + TICK * k for k in range(PACKETS)]
            arrivals = [(at + delay) * MS for at in sent]
            for at, arrival in zip(sent, arrivals, strict=True):
                self.delay.received(stamp_of(at * MS), arrival, 1000)
            window = self.delay.end_window(arrivals[-1])
            if window is not None:
                self.windows.append(window)
            told = [arrival - self.delay.hidden(arrival) for arrival in arrivals]
            self.shown += [round(arrival / MS) - at for arrival, at in zip(told, sent, strict=True)]
            self.now += TICK * PACKETS

    @property
    def queueing(self) -> list[int]:
        return [round(window.queueing / MS) for window in self.windows]


def test_windows_are_told_while_packets_wait_and_once_afterwards() -> None:
    uplink = Uplink()
    uplink.take(20, 25, 30)
    assert uplink.windows == []
    uplink.take(45, 60, 20, 20)
    assert uplink.queueing == [25, 40, 0]
    assert {window.size for window in uplink.windows} == {5000}
    assert uplink.shown == [delay for delay in (20, 25, 30, 45, 60, 20, 20) for _ in range(PACKETS)]


def test_the_queue_is_hidden_while_others_fill_it() -> None:
    uplink = Uplink()
    uplink.take(20, 100)
    uplink.delay.hides = True
    uplink.shown.clear()
    uplink.take(100, *range(110, 320, 10), *range(320, 100, -10))
    assert all(abs(delay - 100) <= 11 for delay in uplink.shown)


def test_what_was_hidden_is_shown_again() -> None:
    uplink = Uplink()
    uplink.take(20, 100)
    uplink.delay.hides = True
    uplink.take(100, *range(110, 210, 10), *[200] * 5)
    uplink.delay.hides = False
    uplink.shown.clear()
    uplink.take(*[200] * 10)
    assert uplink.shown == sorted(uplink.shown)
    assert uplink.shown[0] < 115
    assert uplink.shown[-1] == 200


def test_send_times_begin_anew_after_64_seconds() -> None:
    uplink = Uplink(63_900)
    uplink.take(20, 20, 20, 20, 60, 60)
    assert uplink.queueing == [40, 40]


def test_a_clock_that_was_set_is_no_queue() -> None:
    uplink = Uplink()
    uplink.take(20, 20, 15_000, 15_000, 15_030)
    assert uplink.queueing == [30]


def test_a_lasting_queue_becomes_the_usual_delay_unless_it_is_hidden() -> None:
    uplink = Uplink()
    uplink.take(20, 100)
    uplink.delay.hides = True
    minutes = 2 * 60 * 1000 // (TICK * PACKETS)
    uplink.take(*[100] * minutes)
    assert uplink.queueing[-1] == 80
    uplink.delay.hides = False
    uplink.take(*[100] * minutes)
    assert uplink.queueing[-1] == 0


def test_packets_without_a_send_time_change_nothing() -> None:
    delay = UplinkDelay()
    delay.hides = True
    for at in range(0, 1000, 50):
        delay.received(None, at * MS, 100)
        assert delay.end_window(at * MS) is None
        assert delay.hidden(at * MS) == 0


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.booleans()), min_size=1, max_size=40)
)
def test_shown_times_of_arrival_stay_in_order(windows: list[tuple[list[int], bool]]) -> None:
    delay, now, shown = UplinkDelay(), 10**12, 0
    for waits, hides in windows:
        delay.hides = hides
        arrivals = [now + 10 * MS * (k + 1) for k in range(len(waits))]
        for arrival, wait in zip(arrivals, waits, strict=True):
            delay.received(stamp_of(arrival - wait * MS), arrival, 100)
        delay.end_window(arrivals[-1])
        for arrival in arrivals:
            told = arrival - delay.hidden(arrival)
            assert told >= shown
            shown = told
        now = arrivals[-1]
