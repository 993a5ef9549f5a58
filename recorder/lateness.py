"""Arrivals of frames without the delay of those that came late: pure, used when a recording is finished.

After a network cut a browser sends what it has of the last seconds of sound, and whole pictures are retransmitted.
Such frames come seconds late, together with punctual ones. A frame that came late shows as a delay that is gone soon
afterwards. If the delay stays, the sender's RTP clock stood still, and the frames are not late. Nor are those delayed
by less than a second: encoders and queues do that.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from recorder.clock import SECOND

_LATE = SECOND
_SOON = 60 * SECOND
"""More than any cut that a call survives with the same streams."""


def on_time(anchors: Sequence[tuple[int, int]], clock_rate: int) -> list[tuple[int, int]]:
    """Return the anchors, (unwrapped timestamp, arrival in ns) in the order of capture, each as if on time.

    No arrival becomes later, and the first stays. One becomes earlier if frames of the next minute of the RTP clock had
    over a second less delay, but gets no less than the one before it: a timestamp that jumped forwards does not move
    earlier frames.
    """
    media = [timestamp * SECOND // clock_rate for timestamp, _ in anchors]
    delays = [arrival - at for at, (_, arrival) in zip(media, anchors, strict=True)]
    punctual: list[tuple[int, int]] = []
    before: int | None = None
    for anchor, at, delay, soon in zip(anchors, media, delays, _least_soon(media, delays), strict=True):
        before = delay if before is None else min(delay, max(soon, before))
        punctual.append((anchor[0], at + before) if delay - before > _LATE else anchor)
    return punctual


def _least_soon(media: Sequence[int], delays: Sequence[int]) -> Iterator[int]:
    """Yield, for each frame, the least delay from it on within the span that counts as soon."""
    least: deque[int] = deque()  # indices of candidates, the delays ascending
    end = 0
    for index, at in enumerate(media):
        while end < len(media) and (end <= index or abs(media[end] - at) <= _SOON):
            while least and delays[least[-1]] >= delays[end]:
                least.pop()
            least.append(end)
            end += 1
        while least[0] < index:
            least.popleft()
        yield delays[least[0]]
