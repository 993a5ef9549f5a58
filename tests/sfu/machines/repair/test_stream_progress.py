"""The measured bit rate of an incoming stream."""

import pytest

from sfu.machines.repair.stream_progress import StreamProgress

MS = 1_000_000


def test_the_rate_leaves_out_padding_that_no_viewer_gets() -> None:
    """A sender without RTX probes its link with padding in the stream itself."""
    progress = StreamProgress()
    for seq in range(200):
        progress.take(seq, seq * 20 * MS, seq // 2, 500, padding=seq % 2 == 1)
    assert progress.bits_per_second == pytest.approx(500 * 25 * 8, rel=0.1)
    assert progress.last_arrival == 199 * 20 * MS
