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


def noticed_beside(queue: int) -> Competition:
    """Return a competition in which others keep a queue of this length (ns)."""
    competition = Competition()
    for at in range(0, 8000, 20):
        competition.sent(1000 if at < 2000 else 100, at * MS)
        if at % 100 == 0:
            competition.update(queue, 400_000, 40 * MS, at * MS)
    assert competition.is_on
    return competition


def lasts(before: int, after: int) -> bool:
    """Return True if others are still seen after a queue has grown within a second, from and to these lengths (ms)."""
    competition = noticed_beside(QUEUE)
    for at in range(0, 1100, 100):
        queue = before + (after - before) * min(at, 1000) // 1000
        competition.update(queue * MS, 400_000, 40 * MS, (10_000 + at) * MS)
    return competition.is_on


def test_a_queue_that_is_soon_half_as_long_again_is_our_own() -> None:
    assert not lasts(100, 450)
    assert lasts(100, 180)


def test_the_long_queue_of_a_download_may_grow_as_fast() -> None:
    assert lasts(600, 880)
