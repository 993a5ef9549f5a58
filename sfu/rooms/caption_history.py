"""The final captions of the last half minute, for those who join later."""

from collections import deque

from sfu.api.signaling import Caption

_KEPT_NS = 30_000_000_000
_MAX_KEPT = 200


class CaptionHistory:
    """Final captions of one room, with their times of arrival."""

    def __init__(self) -> None:
        self._finals: deque[tuple[int, Caption]] = deque(maxlen=_MAX_KEPT)

    def add(self, caption: Caption, now: int) -> None:
        """Keep a final caption; earlier revisions are not kept."""
        if caption.final:
            self._finals.append((now, caption))

    def recent(self, now: int) -> list[Caption]:
        """Return the finals of the last 30 s, oldest first."""
        while self._finals and now - self._finals[0][0] > _KEPT_NS:
            self._finals.popleft()
        return [caption for _, caption in self._finals]
