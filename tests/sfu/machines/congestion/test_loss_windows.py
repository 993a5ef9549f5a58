"""Windows of losses: packets with copies hide what is lost, so others count where there are enough."""

from sfu.machines.congestion.loss_windows import LossWindow, LossWindows
from sfu.machines.congestion.send_history import PacketResult, SentKind

MS = 1_000_000


def results(kind: SentKind, apart: int, lost: int, until: int = 1000, *, was_lost: bool = False) -> list[PacketResult]:
    """Packets of 100 bytes, so many ms apart, of which every `lost`-th is lost."""
    return [
        PacketResult(at * MS, None if lost and index % lost == 0 else at * MS, 100, kind, was_lost=was_lost)
        for index, at in enumerate(range(0, until, apart))
    ]


def windows(*streams: list[PacketResult]) -> list[LossWindow]:
    """Feed the packets of all streams in order of sending, one by one."""
    counted = LossWindows()
    ordered = sorted((result for stream in streams for result in stream), key=lambda result: result.sent)
    return [window for result in ordered if (window := counted.add([result])) is not None]


def test_a_window_is_a_quarter_of_a_second_and_ten_packets() -> None:
    assert windows(results(SentKind.VIDEO, 25, 5))[0] == LossWindow(11, 3, 11 * 800 / 0.25)
    assert windows(results(SentKind.VIDEO, 50, 0))[0].packets == 10


def test_beside_pictures_sound_with_copies_does_not_count() -> None:
    sound = results(SentKind.COPIED_AUDIO, 20, 0)
    seen = windows(results(SentKind.VIDEO, 20, 5), sound)
    assert {window.packets for window in seen} <= {13, 14}
    assert sum(window.lost for window in seen) / sum(window.packets for window in seen) > 0.18
    assert seen[0].rate > 70_000  # all bytes
    assert windows(results(SentKind.VIDEO, 20, 5), results(SentKind.AUDIO, 20, 0))[0].packets > 20


def test_few_pictures_are_waited_for_but_not_for_long() -> None:
    sound = results(SentKind.COPIED_AUDIO, 20, 0, 3000)
    assert windows(results(SentKind.VIDEO, 80, 2), sound)[0].packets == 10
    assert windows(results(SentKind.VIDEO, 900, 1), sound)[0].packets > 50


def test_without_pictures_sound_with_copies_counts() -> None:
    assert windows(results(SentKind.COPIED_AUDIO, 20, 5))[0] == LossWindow(14, 3, 14 * 800 / 0.26)


def test_late_sound_with_copies_is_taken_back() -> None:
    counted = LossWindows()
    pictures = results(SentKind.VIDEO, 20, 0, 400)
    counted.add(results(SentKind.COPIED_AUDIO, 20, 1, 200))
    counted.add(results(SentKind.COPIED_AUDIO, 20, 0, 200, was_lost=True))
    window = counted.add(pictures)
    assert window is not None
    assert (window.packets, window.lost) == (20, 0)
