"""Uploaded files and avatars: streamed to storage, typed by content, and served so that none can run scripts."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from quart import Response

from control import uploads
from control.api.paging import PageQuery, page_of, window_of
from control.api.types import Answer, Done, Time
from control.auth import access
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.http import file_response
from control.http.content_type import INLINE, sniff
from control.identifiers import new_id
from control.problem import Problem, not_found
from control.store import loose_files, media, users
from control.store.media import MediaRow

endpoints = Endpoints("media", scope="media")
_MAX_AVATAR = 5 * 1024 * 1024
_MAX_AVATARS = 500
_SANDBOX = "sandbox; default-src 'none'; style-src 'none'; frame-ancestors 'none'"


class UploadQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`meeting` shares the file with that meeting's participants."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    meeting: str | None = None


class MediaFile(Answer, frozen=True, kw_only=True):
    """`content_type` is detected from the content."""

    id: str
    name: str
    content_type: str
    bytes: int
    sha256: str
    meeting: str | None
    thumbnail: bool
    created_at: Time


class FileQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["created_at", "-created_at", "name", "-name", "bytes", "-bytes"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class MediaPage(Answer, frozen=True, kw_only=True):
    files: list[MediaFile]
    next: str | None


class ParticipantAvatar(Answer, frozen=True, kw_only=True):
    """A participant's account and the name of its picture. A new picture has a new name."""

    participant: str
    user: str
    avatar: str


class Avatars(Answer, frozen=True, kw_only=True):
    avatars: list[ParticipantAvatar]


@endpoints.route(
    "POST", "/api/v1/media/upload", Access.USER, query=UploadQuery, answer=MediaFile, status=201, takes_file=True
)
async def upload_file(call: Call, query: UploadQuery) -> MediaFile:
    """Upload a file. The body is its content, whatever its Content-Type; forms (`multipart/*`) are refused with 415."""
    services, user = call.services, call.user.user
    await services.limits.spend("upload", user, 600, 3600)
    if query.meeting is not None:
        async with services.pool.acquire() as connection:
            await access.in_meeting(connection, Access.PARTICIPANT, call.principal, query.meeting)
    identifier = new_id("file")
    async with uploads.room(services, identifier, user, call.request.content_length) as room:
        content = room.renewed(call.request.body)
        expected = call.request.content_length or 0
        stored = await services.media.put(identifier, content, room.size, room.exceeded, expected)
        kind = sniff(stored.head)
        row = MediaRow(
            id=identifier,
            owner_id=user,
            meeting_id=query.meeting,
            name=safe_name(query.name),
            content_type=kind,
            bytes=stored.size,
            sha256=stored.sha256,
            thumbnail=await _make_thumbnail(call, identifier, kind),
            created_at=datetime.now(UTC),
        )
        await uploads.keep(services, row)
    return MediaFile.from_row(row, meeting=row.meeting_id)


@endpoints.route("GET", "/api/v1/media", Access.USER, query=FileQuery, answer=MediaPage)
async def list_files(call: Call, query: FileQuery) -> MediaPage:
    """List the caller's files, newest first."""
    window = window_of(query, MediaRow)
    async with call.services.pool.acquire() as connection:
        rows = await media.of_user(connection, call.user.user, window, query.search)
    page, following = page_of(rows, query)
    return MediaPage(files=[MediaFile.from_row(row, meeting=row.meeting_id) for row in page], next=following)


@endpoints.route("GET", "/api/v1/media/info/<file>", Access.SIGNED_IN, answer=MediaFile)
async def get_file(call: Call, file: str) -> MediaFile:
    """Return a file's metadata."""
    row = await readable(call, file)
    return MediaFile.from_row(row, meeting=row.meeting_id)


@endpoints.route("GET", "/api/v1/media/download/<file>", Access.SIGNED_IN, content_type="*/*")
async def download_file(call: Call, file: str) -> Response:
    """Download a file; Range and If-Range are honoured."""
    return await deliver(call, await readable(call, file))


@endpoints.route("GET", "/api/v1/media/thumbnail/<file>", Access.SIGNED_IN, content_type="image/jpeg")
async def get_thumbnail(call: Call, file: str) -> Response:
    """Return a small picture of an image or video."""
    row = await readable(call, file)
    if not row.thumbnail:
        raise not_found("This file has no thumbnail.")
    return await _send(call, row.id, "image/jpeg", "private, max-age=86400", ".jpg")


@endpoints.route("DELETE", "/api/v1/media/<file>", Access.SIGNED_IN, answer=Done)
async def delete_file(call: Call, file: str) -> Done:
    """Delete one of the caller's files."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await media.by_id(connection, file)
        if row is None or call.principal is None or call.principal.user is None:
            raise not_found("There is no such file.")
        if row.owner_id != call.user.user and call.user.role != "admin":
            raise not_found("There is no such file.")
        await media.delete(connection, file)
        await loose_files.loosen(connection, [file])
    await call.services.results.forget([file])
    await uploads.delete(call.services, [file])
    return Done()


@endpoints.route("POST", "/api/v1/users/upload-avatar", Access.USER, answer=Done, takes_file=True)
async def upload_avatar(call: Call) -> Done:
    """Set the account's picture. The body is an image, which is re-encoded."""
    data = await call.request.get_data()
    if len(data) > _MAX_AVATAR:
        raise Problem(413, "too_large", f"The picture must not exceed {_MAX_AVATAR} bytes.")
    assert isinstance(data, bytes)
    try:
        picture = await call.services.images.avatar(data)
    except ValueError as error:
        raise Problem(415, "no_image", f"{error}.".capitalize()) from error
    identifier = new_id("avatar")
    async with call.services.pool.acquire() as connection:
        await loose_files.loosen(connection, [identifier])
    await call.services.media.put_bytes(identifier, picture)
    async with call.services.pool.acquire() as connection, connection.transaction():
        before = await media.avatar(connection, call.user.user)
        old = [] if before is None else [before]
        await users.set_avatar(connection, call.user.user, identifier)
        await loose_files.settle(connection, [identifier])
        await loose_files.loosen(connection, old)
    await uploads.delete(call.services, old)
    return Done()


@endpoints.route("DELETE", "/api/v1/users/avatar", Access.USER, answer=Done)
async def delete_avatar(call: Call) -> Done:
    """Delete the account's picture."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        before = await media.avatar(connection, call.user.user)
        old = [] if before is None else [before]
        await users.set_avatar(connection, call.user.user, None)
        await loose_files.loosen(connection, old)
    await uploads.delete(call.services, old)
    return Done()


@endpoints.route("GET", "/api/v1/meetings/<meeting>/avatars", Access.PARTICIPANT, answer=Avatars)
async def list_avatars(call: Call, meeting: str) -> Avatars:
    """List up to 500 pictures of participants, all at once: of those who are present first, then the newest others."""
    async with call.services.pool.acquire() as connection:
        rows = await media.avatars(connection, meeting, _MAX_AVATARS)
    return Avatars(
        avatars=[ParticipantAvatar(participant=row.participant, user=row.user_id, avatar=row.avatar) for row in rows]
    )


@endpoints.route("GET", "/api/v1/users/<user>/avatar", Access.SIGNED_IN, content_type="image/jpeg")
async def get_avatar(call: Call, user: str) -> Response:
    """Return an account's picture."""
    async with call.services.pool.acquire() as connection:
        identifier = await media.avatar(connection, user)
    if identifier is None:
        raise not_found("This account has no picture.")
    return await _send(call, identifier, "image/jpeg", "private, max-age=300")


def safe_name(name: str) -> str:
    """Return the last part of a name without control characters. It is shown and downloaded, never used as a path."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in plain if unicodedata.category(letter)[0] != "C").strip(" .")
    return kept[:200] or "file"


def disposition(row: MediaRow) -> str:
    """Return the Content-Disposition of a file: inline only for types that cannot run scripts."""
    manner = "inline" if row.content_type in INLINE else "attachment"
    return f"{manner}; filename*=UTF-8''{quote(row.name, safe='')}"


async def deliver(call: Call, row: MediaRow) -> Response:
    """Send a file to a caller that may read it."""
    response = await _send(call, row.id, row.content_type, "private, no-cache")
    if row.content_type not in INLINE:
        response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = disposition(row)
    response.headers["Content-Security-Policy"] = _SANDBOX
    return response


async def _send(call: Call, identifier: str, kind: str, cache: str, suffix: str = "") -> Response:
    store = call.services.media
    return await file_response.send(call.request, store.objects, store.key(identifier, suffix), kind, cache)


async def readable(call: Call, file: str) -> MediaRow:
    """Return a file that the caller may read: one of its own, or one shared with a meeting it is in."""
    async with call.services.pool.acquire() as connection:
        row = await media.by_id(connection, file)
        if row is None:
            raise not_found("There is no such file.")
        user = None if call.principal is None else call.principal.user
        if user is not None and (row.owner_id == user.user or user.role == "admin"):
            return row
        if row.meeting_id is not None:
            try:
                await access.in_meeting(connection, Access.TEXT, call.principal, row.meeting_id)
            except Problem as problem:
                raise not_found("There is no such file.") from problem
            return row
    raise not_found("There is no such file.")


async def _make_thumbnail(call: Call, identifier: str, kind: str) -> bool:
    if not kind.startswith(("image/", "video/")):
        return False
    async with call.services.media.local(identifier) as path:
        picture = await call.services.images.thumbnail(path, kind)
    if picture is None:
        return False
    await call.services.media.put_bytes(identifier, picture, ".jpg")
    return True
