"""Captured media for finishing: on this disk, or fetched from the object store, a few segments at a time."""

import hashlib
from collections import deque
from pathlib import Path

from objects.sealed_file import PLAIN, Files
from objects.store import ObjectStore
from recorder import layout

_AT_HAND = 3
_FETCHED = ".fetched"


class SegmentCache:
    """Finds the files of segments; without a store, only those on disk. Use it as a context manager."""

    def __init__(self, root: Path, store: ObjectStore | None = None, files: Files = PLAIN) -> None:
        self.files = files
        self._root = root
        self._store = store
        self._copies: deque[Path] = deque()

    def __enter__(self) -> "SegmentCache":
        return self

    def __exit__(self, *_: object) -> None:
        while self._copies:
            self._drop()

    def path(self, media: Path, sha256: str) -> Path | None:
        """Return a segment's file, None if there is none. A copy is kept for three more requests. Raises OSError."""
        if media.exists() and media.stat().st_size:
            return media
        if self._store is None:
            return None
        copy = media.parent.parent / _FETCHED / f"{media.parent.name}.{media.name}"
        if copy in self._copies:
            return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store.fetch(layout.key(self._root, media), copy)
        except FileNotFoundError:
            return None
        self._copies.append(copy)
        if len(self._copies) > _AT_HAND:
            self._drop()
        with self.files.view(copy) as content:
            if sha256 and hashlib.sha256(content).hexdigest() != sha256:
                return None
        return copy

    def _drop(self) -> None:
        self._copies.popleft().unlink(missing_ok=True)
