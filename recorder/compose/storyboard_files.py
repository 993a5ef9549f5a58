"""The files of a storyboard."""

from pathlib import Path


def storyboard_paths(film: Path) -> tuple[Path, Path]:
    """Return the paths of a film's thumbnails and their times."""
    return film.with_suffix(".jpg"), film.with_suffix(".vtt")
