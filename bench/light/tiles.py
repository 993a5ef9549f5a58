"""Tiles of a meeting: the speaker's is large, some others are small, and the rest are not shown."""

from collections.abc import Iterable

Size = tuple[int, int]
LARGE, SMALL = (1280, 720), (320, 180)


class Tiles:
    """At most `count` tiles. Cameras are identified by track, people by participant."""

    def __init__(self, count: int) -> None:
        self.large = ""
        self._count = count
        self._cameras: dict[str, str] = {}
        self._shown: dict[str, Size | None] = {}

    def add(self, participant: str, track: str) -> None:
        """Add a participant's camera."""
        self._cameras[participant] = track

    def remove(self, track: str) -> None:
        """Remove a camera."""
        self._shown.pop(track, None)
        self._cameras = {who: camera for who, camera in self._cameras.items() if camera != track}

    def remove_participant(self, participant: str) -> None:
        """Remove a participant."""
        track = self._cameras.get(participant)
        if track is not None:
            self.remove(track)

    def listen_to(self, speakers: Iterable[str]) -> None:
        """Make the first speaker with a camera in this meeting the large tile."""
        self.large = next((speaker for speaker in speakers if speaker in self._cameras), self.large)

    def changes(self) -> dict[str, Size | None]:
        """Return the changed sizes since the last call, by track; None for a track that is no longer shown."""
        if self.large not in self._cameras:
            self.large = next(iter(self._cameras), "")
        others = [who for who in self._cameras if who != self.large]
        sizes: dict[str, Size | None] = {self._cameras[who]: None for who in others[self._count - 1 :]}
        sizes |= {self._cameras[who]: SMALL for who in others[: self._count - 1]}
        if self.large:
            sizes[self._cameras[self.large]] = LARGE
        changed = {track: size for track, size in sizes.items() if self._shown.get(track, ()) != size}
        self._shown = sizes
        return changed

    def sizes(self) -> list[Size]:
        """Return the sizes of all shown tracks."""
        return [size for size in self._shown.values() if size]
