"""Signed links: each opens one file for a limited time, without signing in.

A signature names a row; deleting the row revokes the link. If the object store has a public endpoint
(`s3_public_endpoint`), a link redirects to it, with a presigned URL (AWS Signature Version 4) that is valid for a
minute. Otherwise, this server sends the file. Either way, the link opens only that file, which is sent like any
download.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
from quart import Response

from control.api.media import deliver, disposition, readable
from control.api.paging import LinkQuery, cut
from control.api.recordings import send
from control.api.types import Answer, Body, Done, Time
from control.auth import access
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.http.content_type import INLINE
from control.problem import Problem, not_found
from control.store import audit, media, signed_links
from control.store.media import MediaRow
from control.store.signed_links import SignedLinkRow, Target
from objects.threads import Objects

of_media = Endpoints("media", scope="media")
of_recordings = Endpoints("recordings", scope="recordings")
_Seconds = Annotated[int, msgspec.Meta(ge=60, le=7 * 86400)]
_DIRECT_SECONDS = 60


class SignFile(Body, frozen=True, kw_only=True):
    seconds: _Seconds = 3600


class SignRecordingFile(Body, frozen=True, kw_only=True):
    """`name` is a file of the recording, as listed by `GET /api/v1/recordings/{id}`."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    seconds: _Seconds = 3600


class SignedLink(Answer, frozen=True, kw_only=True):
    """`url` is relative to this server; `name` is the file of the recording that it opens, null for an upload."""

    id: str
    url: str
    name: str | None
    created_at: Time
    expires_at: Time


class SignedLinks(Answer, frozen=True, kw_only=True):
    links: list[SignedLink]
    next: str | None


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signature of a link; `expires` is in Unix seconds."""

    link: Annotated[str, msgspec.Meta(max_length=100)]
    expires: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
    signature: Annotated[str, msgspec.Meta(max_length=128)]


@of_media.route("POST", "/api/v1/media/<file>/links", Access.SIGNED_IN, body=SignFile, answer=SignedLink, status=201)
async def sign_file(call: Call, file: str, body: SignFile) -> SignedLink:
    """Create a link that lets anyone download a file until it expires or is deleted."""
    row = await readable(call, file)
    return await _make(call, Target(media_id=row.id), body.seconds)


@of_media.route("GET", "/api/v1/media/<file>/links", Access.SIGNED_IN, query=LinkQuery, answer=SignedLinks)
async def list_file_links(call: Call, file: str, query: LinkQuery) -> SignedLinks:
    """List the links of a file: all of them for its owner and hosts, their own for others."""
    row = await readable(call, file)
    return await _list(call, Target(media_id=row.id), await _whose(call, row), query)


@of_media.route("DELETE", "/api/v1/media/<file>/links/<media_link>", Access.SIGNED_IN, answer=Done)
async def delete_file_link(call: Call, file: str, media_link: str) -> Done:
    """Delete a link. Its creator, the file's owner and hosts may do this."""
    row = await readable(call, file)
    return await _take_back(call, Target(media_id=row.id), media_link, await _whose(call, row))


@of_recordings.route(
    "POST",
    "/api/v1/recordings/<recording>/file-links",
    Access.RECORDING,
    body=SignRecordingFile,
    answer=SignedLink,
    status=201,
)
async def sign_recording_file(call: Call, recording: str, body: SignRecordingFile) -> SignedLink:
    """Create a link that lets anyone download a file of a finished recording until it expires or is deleted."""
    await call.services.archive.file(recording, body.name)
    return await _make(call, Target(recording_id=recording, name=body.name), body.seconds)


@of_recordings.route(
    "GET", "/api/v1/recordings/<recording>/file-links", Access.RECORDING, query=LinkQuery, answer=SignedLinks
)
async def list_recording_file_links(call: Call, recording: str, query: LinkQuery) -> SignedLinks:
    """List the links that open files of a recording."""
    return await _list(call, Target(recording_id=recording), None, query)


@of_recordings.route("DELETE", "/api/v1/recordings/<recording>/file-links/<file_link>", Access.RECORDING, answer=Done)
async def delete_recording_file_link(call: Call, recording: str, file_link: str) -> Done:
    """Delete a link."""
    return await _take_back(call, Target(recording_id=recording), file_link, None)


@of_media.route(
    "GET", "/api/v1/signed/media/<file>", Access.PUBLIC, query=Signature, content_type="*/*", redirects=True
)
async def open_signed_file(call: Call, file: str, query: Signature) -> Response:
    """Download the file of a link, or redirect to the object store."""
    await _check(call, f"media/{file}", query)
    store = call.services.media
    async with call.services.pool.acquire() as connection:
        row = await media.by_id(connection, file)
    if row is None:
        raise not_found("There is no such file.")
    headers = {
        "response-content-type": row.content_type if row.content_type in INLINE else "application/octet-stream",
        "response-content-disposition": disposition(row),
    }
    return await _elsewhere_or(store.objects, store.key(row.id), headers, lambda: deliver(call, row))


@of_recordings.route(
    "GET",
    "/api/v1/signed/recordings/<recording>/<path:name>",
    Access.PUBLIC,
    query=Signature,
    content_type="*/*",
    redirects=True,
)
async def open_signed_recording_file(call: Call, recording: str, name: str, query: Signature) -> Response:
    """Download the recording file of a link, or redirect to the object store."""
    await _check(call, f"recordings/{recording}/{name}", query)
    key, kind = await call.services.archive.file(recording, name)
    manner = "inline" if kind in INLINE else "attachment"  # a shared clip plays at once
    headers = {
        "response-content-type": kind,
        "response-content-disposition": f"{manner}; filename*=UTF-8''{quote(name.rpartition('/')[2], safe='')}",
    }
    return await _elsewhere_or(call.services.archive.objects, key, headers, lambda: send(call, recording, name))


async def _elsewhere_or(
    objects: Objects, key: str, headers: Mapping[str, str], here: Callable[[], Awaitable[Response]]
) -> Response:
    """Redirect to the store if it has a public endpoint; otherwise send the file."""
    direct = await objects.public_link(key, _DIRECT_SECONDS, headers)
    if direct is None:
        return await here()
    return Response(b"", 302, {"Location": direct, "Cache-Control": "no-store"})


async def _whose(call: Call, row: MediaRow) -> str | None:
    """Return None if the caller may see all links of a file, else the account whose links it may see."""
    user = None if call.principal is None else call.principal.user
    if user is not None and (row.owner_id == user.user or user.role == "admin"):
        return None
    if row.meeting_id is not None:
        async with call.services.pool.acquire() as connection:
            standing = await access.in_meeting(connection, Access.PARTICIPANT, call.principal, row.meeting_id)
        if standing.is_host:
            return None
    return call.actor


async def _make(call: Call, target: Target, seconds: int) -> SignedLink:
    user = None if call.principal is None else call.principal.user
    expires = datetime.fromtimestamp(int(time.time()) + seconds, UTC)
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await signed_links.create(connection, target, None if user is None else user.user, expires)
        await audit.write(connection, call.actor, "sign_link", _subject(row), call.address, link=row.id)
    return _public(call, row)


async def _list(call: Call, target: Target, user: str | None, query: LinkQuery) -> SignedLinks:
    async with call.services.pool.acquire() as connection:
        rows = await signed_links.of_target(connection, target, user)
    page, following = cut(SignedLink, [_public(call, row) for row in rows], query, searched=("name",))
    return SignedLinks(links=page, next=following)


async def _take_back(call: Call, target: Target, link: str, user: str | None) -> Done:
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await signed_links.delete(connection, target, link, user):
            raise not_found("There is no such link.")
        subject = target.media_id or target.recording_id or ""
        await audit.write(connection, call.actor, "take_link_back", subject, call.address, link=link)
    return Done()


def _public(call: Call, row: SignedLinkRow) -> SignedLink:
    """Return a link with its address, which never changes."""
    subject, expires = _subject(row), int(row.expires_at.timestamp())
    signature = call.services.tokens.link(row.id, subject, expires)
    url = f"/api/v1/signed/{quote(subject)}?link={row.id}&expires={expires}&signature={signature}"
    return SignedLink.from_row(row, url=url)


def _subject(row: SignedLinkRow) -> str:
    return f"recordings/{row.recording_id}/{row.name}" if row.media_id is None else f"media/{row.media_id}"


async def _check(call: Call, subject: str, given: Signature) -> None:
    """Raise Problem 403 if a link is invalid. Only correctly signed links cost a query."""
    ours = call.services.tokens.link_matches(given.link, subject, given.expires, given.signature)
    if ours and given.expires > time.time():
        async with call.services.pool.acquire() as connection:
            if await signed_links.holds(connection, given.link):
                return
    raise Problem(403, "link", "This link is invalid: it has expired, was deleted, or was altered.")
