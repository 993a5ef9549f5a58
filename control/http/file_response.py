"""Objects as responses: conditional requests and single ranges (RFC 9110, sections 13 and 14), in bounded memory.

Quart's own file body stays open when a conditional request is answered without it, and switches threads every 8 KiB.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate, parsedate_to_datetime
from io import FileIO
from pathlib import Path
from types import TracebackType

from quart import Request, Response
from quart.wrappers.response import ResponseBody

from control.files.media_store import unavailable
from control.problem import Problem, not_found
from objects.store import ObjectInfo
from objects.threads import Objects

_CHUNK = 128 * 1024


class FileBody(ResponseBody):
    """Bytes `start` to `end` of a file, read in threads; open only while being sent."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._path = path
        self._position = start
        self._end = end
        self._file: FileIO | None = None

    async def __aenter__(self) -> "FileBody":
        # Not in a thread: if the client disconnected during the call, the file would stay open.
        self._file = FileIO(self._path)
        self._file.seek(self._position)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    async def _read(self) -> AsyncIterator[bytes]:
        assert self._file is not None
        while self._position < self._end:
            data = await asyncio.to_thread(self._file.read, min(_CHUNK, self._end - self._position))
            if not data:
                raise OSError(f"{self._path.name} was truncated while being sent")
            self._position += len(data)
            yield data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._read()


class ObjectBody(ResponseBody):
    """Bytes `start` to `end` of a remote object, requested piece by piece."""

    def __init__(self, objects: Objects, found: ObjectInfo, start: int, end: int) -> None:
        self._pieces = objects.pieces(found.key, start, end, found.tag)

    async def __aenter__(self) -> "ObjectBody":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: nothing stays open between pieces."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


async def send(request: Request, objects: Objects, key: str, content_type: str, cache: str) -> Response:
    """Return the response to a GET or HEAD of an object.

    Raises Problem 404 if it was deleted, 416 for a range beyond its end, 503 if the store does not answer.
    """
    path = objects.store.local_path(key)
    if path is not None:
        return await send_file(request, path, content_type, cache)
    try:
        found = await objects.info(key)
    except FileNotFoundError as error:
        raise not_found() from error
    except OSError as error:
        raise unavailable(error) from error
    return _respond(
        request,
        found,
        lambda start, end: ObjectBody(objects, found, start, end),
        content_type=content_type,
        cache=cache,
    )


async def send_file(request: Request, path: Path, content_type: str, cache: str) -> Response:
    """Return the response to a GET or HEAD of a file, like `send`."""
    try:
        status = await asyncio.to_thread(os.stat, path)
    except FileNotFoundError as error:
        raise not_found() from error
    found = ObjectInfo(path.name, status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}", status.st_mtime)
    return _respond(
        request, found, lambda start, end: FileBody(path, start, end), content_type=content_type, cache=cache
    )


def _respond(
    request: Request,
    found: ObjectInfo,
    body: Callable[[int, int], ResponseBody],
    *,
    content_type: str,
    cache: str,
) -> Response:
    tag = f'"{found.tag}"'
    modified = formatdate(found.modified, usegmt=True)
    headers = {"ETag": tag, "Last-Modified": modified, "Accept-Ranges": "bytes", "Cache-Control": cache}
    if _is_fresh(request, tag, found.modified):
        return Response(b"", 304, headers)
    start, end = 0, found.size
    code = 200
    given = request.headers.get("Range")
    if given is not None and request.headers.get("If-Range", tag) in {tag, modified}:
        wanted = parse_range(given, found.size)
        if wanted is not None:
            start, end = wanted
            code = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    response = Response(b"", code, headers, content_type=content_type)
    response.headers["Content-Length"] = str(end - start)
    if request.method != "HEAD":
        response.response = body(start, end)
    # Quart's default timeout would silently cut off a long download.
    response.timeout = None
    return response


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Return (start, end) of a single byte range, end excluded, or None if the header must be ignored.

    Several ranges, other units and syntax errors are ignored, as RFC 9110 allows. Raises Problem 416 for a range
    outside the file.
    """
    unit, _, ranges = text.partition("=")
    first, dash, last = (part.strip() for part in ranges.partition("-"))
    if unit.strip().lower() != "bytes" or not dash or "," in ranges:
        return None
    if not all(part == "" or (part.isascii() and part.isdigit() and len(part) < 20) for part in (first, last)):
        return None
    if first == "":
        if last == "":
            return None
        start, end = max(size - int(last), 0), size
        satisfiable = int(last) > 0 and size > 0
    else:
        start = int(first)
        end = size if last == "" else min(int(last) + 1, size)
        if last != "" and int(last) < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise Problem(416, "range", "The range is outside the file.", {"Content-Range": f"bytes */{size}"})
    return start, end


def _is_fresh(request: Request, tag: str, modified: float) -> bool:
    """Return whether the client has this version (If-None-Match takes precedence over If-Modified-Since)."""
    given = request.headers.get("If-None-Match")
    if given is not None:
        return given.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in given.split(",")}
    since = request.headers.get("If-Modified-Since")
    if since is None:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):
        return False
