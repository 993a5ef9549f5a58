"""Containers that FFmpeg reads and writes, in plain or encrypted files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from objects.sealed_file import Files


@contextmanager
def writing(files: Files, path: Path, form: str, options: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Provide a container that is written to `path`. Raises OSError, av.FFmpegError."""
    if not files.encrypts:
        with av.open(path, "w", format=form, options=dict(options or {})) as container:
            yield container
        return
    with (
        files.writer(path) as out,
        # To put the index of an MP4 first, FFmpeg reads what it has written.
        av.open(out, "w", format=form, options=dict(options or {}), io_open=lambda *_: out.reading()) as container,
    ):
        yield container


@contextmanager
def reading(files: Files, path: Path) -> Iterator[Any]:
    """Provide a container that is read from `path`, and refers to no other file. Raises OSError, av.FFmpegError."""
    with av.open(files.source(path), options={"protocol_whitelist": "file"}) as container:
        yield container
