"""Tiles of a meeting, and their sizes: who speaks large, the others small, the rest not at all."""

from collections.abc import Iterable

Size = tuple[int, int]
LARGE, SMALL = (1280, 720), (320, 180)


class Tiles:
    """At most `count` of them. Cameras are named by track, people by participant."""

    def __init__(self, count: int) -> None:
        self.large = ""
        self._count = count
        self._cameras: dict[str, str] = {}
        self._shown: dict[str, Size | None] = {}

    def add(self, participant: str, track: str) -> None:
        """Somebody has a camera."""
        self._cameras[participant] = track

    def remove(self, track: str) -> None:
        """A camera is gone."""
        self._shown.pop(track, None)
        self._cameras = {who: camera for who, camera in self._cameras.items() if camera != track}

    def remove_participant(self, participant: str) -> None:
        """Somebody is gone."""
        track = self._cameras.get(participant)
        if track is not None:
            self.remove(track)

    def listen_to(self, speakers: Iterable[str]) -> None:
        """Show the first of them that is somebody else large."""
        self.large = next((speaker for speaker in speakers if speaker in self._cameras), self.large)

    def changes(self) -> dict[str, Size | None]:
        """Return what changed since the last call: the size of each track, None for one that is not shown."""
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
        """Return the sizes of all that are shown."""
        return [size for size in self._shown.values() if size]
