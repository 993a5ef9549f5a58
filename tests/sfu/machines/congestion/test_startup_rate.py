"""The first pictures as a measure of the link."""

from sfu.machines.congestion.send_history import PacketResult, SentKind
from sfu.machines.congestion.startup_rate import StartupRate, StartupRun

MS = 1_000_000
SECOND = 1000 * MS
SIZE = 1200


def over(link: float, pace: float, packets: int = 60, kind: int = SentKind.VIDEO) -> list[PacketResult]:
    """Packets paced at `pace` bits/s, as they arrive over a link of `link` bits/s with 20 ms of delay."""
    results = []
    free = 0
    for number in range(packets):
        sent = int(number * SIZE * 8e9 / pace)
        free = max(free, sent) + int(SIZE * 8e9 / link)
        results.append(PacketResult(sent, free + 20 * MS, SIZE, kind))
    return results


def within(run: StartupRun | None, low: float, high: float) -> bool:
    return run is not None and low <= run.rate <= high


def test_a_wide_link_is_known_to_carry_what_was_paced() -> None:
    startup = StartupRate()
    run = startup.update(over(50e6, 4e6), 100 * MS)
    assert within(run, 3.9e6, 4.5e6)
    assert run is not None
    assert not run.fills
    assert not startup.is_over


def test_a_narrow_link_shows_its_rate_and_ends_the_start() -> None:
    startup = StartupRate()
    run = startup.update(over(600e3, 3.75e6), 100 * MS)
    assert within(run, 500e3, 620e3)
    assert run is not None
    assert run.fills
    assert startup.is_over


def test_a_receiver_that_was_only_busy_for_a_moment_is_no_full_link() -> None:
    """It reads the first half of the run late, all at once, and the rest in time."""
    results = over(50e6, 4e6)
    woken = results[30].sent + 60 * MS
    late = [result._replace(arrival=max(woken, result.arrival or 0)) for result in results]
    run = StartupRate().update(late, 200 * MS)
    assert run is None or not run.fills


def test_frames_far_apart_and_sound_tell_nothing() -> None:
    startup = StartupRate()
    frames = [PacketResult(n * 33 * MS, n * 33 * MS + 20 * MS, SIZE, SentKind.VIDEO) for n in range(60)]
    assert startup.update(frames, 100 * MS) is None
    assert startup.update(over(50e6, 4e6, kind=SentKind.AUDIO), 100 * MS) is None


def test_runs_go_on_over_several_messages() -> None:
    startup = StartupRate()
    results = over(50e6, 4e6, 12)
    assert startup.update(results[:4], 100 * MS) is None
    assert startup.update(results[4:], 150 * MS) is not None


def test_it_is_over_after_a_while() -> None:
    startup = StartupRate()
    startup.update(over(50e6, 4e6), 0)
    startup.update([], 4 * SECOND)
    assert startup.is_over
