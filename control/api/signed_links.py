"""Links that open one file for a while, without signing in: signed, and not stored.

Where the object store has a public endpoint (`s3_public_endpoint`) they lead straight there (presigned, AWS Signature
Version 4); else they lead here. Neither shows anything but the file, which is sent as downloads are. A link cannot be
taken back before it expires, but for deleting its file.
"""

import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
from quart import Response

from control.api.media import disposition, file_of, readable
from control.api.recordings import send
from control.api.types import Answer, Body
from control.auth.access import Access
from control.content_type import INLINE
from control.endpoint import Call, Endpoints
from control.problem import Problem
from control.store import audit

of_media = Endpoints("media", scope="media")
of_recordings = Endpoints("recordings", scope="recordings")
_Seconds = Annotated[int, msgspec.Meta(ge=60, le=7 * 86400)]


class SignFile(Body, frozen=True, kw_only=True):
    seconds: _Seconds = 3600


class SignRecordingFile(Body, frozen=True, kw_only=True):
    """`name` is a file of the recording, as `GET /api/v1/recordings/{id}` names them."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    seconds: _Seconds = 3600


class SignedLink(Answer, frozen=True, kw_only=True):
    """`url` is relative to this server, or absolute where it leads to the object store."""

    url: str
    expires_at: datetime


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes a link hold: `expires` is in Unix seconds."""

    expires: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
    signature: Annotated[str, msgspec.Meta(max_length=128)]


@of_media.route("POST", "/api/v1/media/<file>/links", Access.SIGNED_IN, body=SignFile, answer=SignedLink, status=201)
async def sign_file(call: Call, file: str, body: SignFile) -> SignedLink:
    """Make a link by which anyone may download a file until it expires."""
    row = await readable(call, file)
    store = call.services.media
    inline = row.content_type in INLINE
    headers = {
        "response-content-type": row.content_type if inline else "application/octet-stream",
        "response-content-disposition": disposition(row),
    }
    direct = await store.objects.public_link(store.key(row.id), body.seconds, headers)
    return await _signed(call, f"media/{row.id}", body.seconds, direct)


@of_recordings.route(
    "POST",
    "/api/v1/recordings/<recording>/file-links",
    Access.RECORDING,
    body=SignRecordingFile,
    answer=SignedLink,
    status=201,
)
async def sign_recording_file(call: Call, recording: str, body: SignRecordingFile) -> SignedLink:
    """Make a link by which anyone may download a file of a finished recording until it expires."""
    archive = call.services.archive
    key, kind = await archive.file(recording, body.name)
    headers = {
        "response-content-type": kind,
        "response-content-disposition": f"attachment; filename*=UTF-8''{quote(body.name.rpartition('/')[2], safe='')}",
    }
    direct = await archive.objects.public_link(key, body.seconds, headers)
    return await _signed(call, f"recordings/{recording}/{body.name}", body.seconds, direct)


@of_media.route("GET", "/api/v1/signed/media/<file>", Access.PUBLIC, query=Signature, content_type="*/*")
async def open_signed_file(call: Call, file: str, query: Signature) -> Response:
    """Download the file that a link opens."""
    _check(call, f"media/{file}", query)
    return await file_of(call, file)


@of_recordings.route(
    "GET",
    "/api/v1/signed/recordings/<recording>/<path:name>",
    Access.PUBLIC,
    query=Signature,
    content_type="*/*",
)
async def open_signed_recording_file(call: Call, recording: str, name: str, query: Signature) -> Response:
    """Download the file of a recording that a link opens."""
    _check(call, f"recordings/{recording}/{name}", query)
    return await send(call, recording, name)


async def _signed(call: Call, subject: str, seconds: int, direct: str | None) -> SignedLink:
    expires = int(time.time()) + seconds
    async with call.services.pool.acquire() as connection:
        await audit.write(connection, call.actor, "sign_link", subject, call.address, seconds=seconds)
    signature = call.services.tokens.link(subject, expires)
    here = f"/api/v1/signed/{quote(subject)}?expires={expires}&signature={signature}"
    return SignedLink(url=direct or here, expires_at=datetime.fromtimestamp(expires, UTC))


def _check(call: Call, subject: str, given: Signature) -> None:
    if given.expires <= time.time() or not call.services.tokens.link_matches(subject, given.expires, given.signature):
        raise Problem(403, "link", "This link does not hold: it has expired, or was changed.")
