"""Detection of other senders on the link; `test_shared_link` has the whole picture."""

from sfu.machines.congestion.competition import Competition

MS = 1_000_000
QUEUE = 60 * MS


def seen(step: int) -> bool:
    """Return whether others are noticed behind a steady queue, seen every `step` ms, after a cut to a tenth."""
    competition = Competition()
    for at in range(0, 8000, 20):
        competition.sent(1000 if at < 2000 else 100, at * MS)
        if at % step == 0 and competition.update(QUEUE, 400_000, 40 * MS, at * MS):
            return True
    return False


def test_a_queue_that_stands_after_a_cut_is_filled_by_others() -> None:
    assert seen(100)


def test_a_queue_seen_now_and_then_is_not_taken_for_one_that_stands() -> None:
    assert not seen(2600)
