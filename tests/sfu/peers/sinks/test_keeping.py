"""State of a recording: from the recorder's reports, or from their absence."""

from sfu.peers.sinks.keeping import NO_RECORDER, PATIENCE_NS, SILENT, Keeping

SECOND = 1_000_000_000
FULL = "The disk for recordings is full."


def test_a_recording_without_a_recorder_has_stalled_after_a_moment() -> None:
    keeping = Keeping()
    begun = 100 * SECOND
    assert keeping.stalled("r", begun, begun + PATIENCE_NS - 1) == ""
    assert keeping.stalled("r", begun, begun + PATIENCE_NS) == NO_RECORDER
    keeping.attached(begun + PATIENCE_NS)
    assert keeping.stalled("r", begun, begun + PATIENCE_NS) == ""


def test_a_recorder_that_is_back_soon_is_not_spoken_of() -> None:
    keeping = Keeping()
    keeping.attached(0)
    keeping.detached(10 * SECOND)
    assert keeping.stalled("r", 0, 12 * SECOND) == ""
    keeping.attached(12 * SECOND)
    keeping.heard({}, 13 * SECOND)
    assert keeping.stalled("r", 0, 15 * SECOND) == ""


def test_a_recorder_that_hangs_has_stalled() -> None:
    keeping = Keeping()
    keeping.attached(0)
    keeping.heard({}, 5 * SECOND)
    assert keeping.stalled("r", 0, 5 * SECOND + PATIENCE_NS) == SILENT
    keeping.heard({}, 20 * SECOND)
    assert keeping.stalled("r", 0, 20 * SECOND) == ""


def test_it_says_which_recordings_it_does_not_keep() -> None:
    keeping = Keeping()
    keeping.attached(0)
    keeping.heard({"full": FULL}, SECOND)
    assert keeping.stalled("full", 0, SECOND) == FULL
    assert keeping.stalled("fine", 0, SECOND) == ""
    keeping.detached(2 * SECOND)
    assert keeping.stalled("full", 0, 2 * SECOND) == FULL  # that does not go away with who said it
    keeping.attached(3 * SECOND)
    keeping.heard({}, 3 * SECOND)
    assert keeping.stalled("full", 0, 3 * SECOND) == ""


def test_a_recorder_of_an_earlier_version_is_taken_to_be_well() -> None:
    keeping = Keeping()
    keeping.attached(0, speaks=False)
    assert keeping.stalled("r", 0, 60 * SECOND) == ""
    keeping.detached(60 * SECOND)
    assert keeping.stalled("r", 0, 60 * SECOND + PATIENCE_NS) == NO_RECORDER
