"""Shared links of recordings: until it expires, a link lets anyone watch and download that recording, nothing else.

A link may have a passcode. A browser that gave it keeps a signed cookie for this link and for half a day.
"""

from typing import Annotated

import msgspec
from quart import Response

from control.api.conversation_types import Captions
from control.api.paging import LinkQuery, cut
from control.api.recording_types import RecordingDetail
from control.api.recordings import captions, detail, send
from control.api.types import Answer, Body, Done, GivenPasscode, Passcode, Time
from control.auth import cookies
from control.auth.access import Access
from control.endpoint import Call, Endpoints, answer
from control.http.limits import Failures
from control.problem import Problem, forbidden, not_found
from control.store import audit, links, meetings, recordings
from control.store.links import LinkRow

endpoints = Endpoints("recordings", scope="recordings")
_WINDOW = 15 * 60


class ShareRecording(Body, frozen=True, kw_only=True):
    days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 7
    passcode: Passcode | None = None


class OpenShared(Body, frozen=True, kw_only=True):
    passcode: GivenPasscode


class SharedLink(Answer, frozen=True, kw_only=True):
    """`url` is shown once, when the link is created. It is relative to this server."""

    id: str
    created_at: Time
    expires_at: Time
    passcode_required: bool
    url: str | None = None


class SharedLinks(Answer, frozen=True, kw_only=True):
    links: list[SharedLink]
    next: str | None


@endpoints.route(
    "POST",
    "/api/v1/recordings/<recording>/links",
    Access.RECORDING,
    body=ShareRecording,
    answer=SharedLink,
    status=201,
)
async def share_recording(call: Call, recording: str, body: ShareRecording) -> SharedLink:
    """Create a link that opens the recording without signing in, until it expires."""
    if call.principal is None or call.principal.user is None:
        raise forbidden("Guests may not share recordings.")
    passcode_hash = await call.services.passwords.hash(body.passcode) if body.passcode else None
    async with call.services.pool.acquire() as connection, connection.transaction():
        row, token = await links.create(connection, recording, call.user.user, body.days * 86400, passcode_hash)
        await audit.write(connection, call.actor, "share_recording", recording, call.address, link=row.id)
    url = f"/api/v1/shared/{token}"
    return _public(row, url)


@endpoints.route("GET", "/api/v1/recordings/<recording>/links", Access.RECORDING, query=LinkQuery, answer=SharedLinks)
async def list_links(call: Call, recording: str, query: LinkQuery) -> SharedLinks:
    """List the valid links of the recording."""
    async with call.services.pool.acquire() as connection:
        rows = await links.of_recording(connection, recording)
    page, following = cut(SharedLink, [_public(row) for row in rows], query)
    return SharedLinks(links=page, next=following)


@endpoints.route("DELETE", "/api/v1/recordings/<recording>/links/<link>", Access.RECORDING, answer=Done)
async def delete_link(call: Call, recording: str, link: str) -> Done:
    """Delete a link. It stops working at once."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await links.delete(connection, recording, link):
            raise not_found("There is no such link.")
        await audit.write(connection, call.actor, "unshare_recording", recording, call.address, link=link)
    return Done()


@endpoints.route("POST", "/api/v1/shared/<token>/open", Access.PUBLIC, body=OpenShared, answer=Done)
async def open_shared_recording(call: Call, token: str, body: OpenShared) -> Response:
    """Give the passcode of a link. The response sets a cookie that opens the link for half a day."""
    link, services = await _link(call, token), call.services
    stored, bars = link.passcode_hash, services.config.limits
    limits = (
        Failures("shared-passcode", f"{link.id}:{call.network}", bars.passcode_failures, _WINDOW),
        Failures("shared-passcode-link", link.id, bars.meeting_failures, _WINDOW),
    )
    if stored is not None and not await services.limits.guess(
        limits, lambda: services.passcodes.verify(stored, body.passcode)
    ):
        raise Problem(403, "wrong_link_passcode", "The passcode is wrong.")
    response = answer(Done())
    names = cookies.names(call.request, services.config.cookie_security)
    cookies.set_visit(response, names, services.tokens.visit(link.id), f"/api/v1/shared/{token}")
    return response


@endpoints.route("GET", "/api/v1/shared/<token>", Access.PUBLIC, answer=RecordingDetail)
async def get_shared_recording(call: Call, token: str) -> RecordingDetail:
    """Return the recording that a link opens. Its files are below `files/`."""
    recording = await _opened(call, token)
    async with call.services.pool.acquire() as connection:
        row = await recordings.by_id(connection, recording)
        meeting = None if row is None else await meetings.by_id(connection, row.meeting_id)
    if row is None or meeting is None:
        raise _no_link()
    return await detail(call.services, row, meeting.title)


@endpoints.route("GET", "/api/v1/shared/<token>/captions", Access.PUBLIC, answer=Captions)
async def get_shared_captions(call: Call, token: str) -> Captions:
    """Return the captions of the recording that a link opens; times count from its start."""
    recording = await _opened(call, token)
    async with call.services.pool.acquire() as connection:
        row = await recordings.by_id(connection, recording)
    if row is None:
        raise _no_link()
    return await captions(call.services, row)


@endpoints.route("GET", "/api/v1/shared/<token>/files/<path:name>", Access.PUBLIC, content_type="*/*")
async def download_shared_file(call: Call, token: str, name: str) -> Response:
    """Download a file of the recording that a link opens."""
    return await send(call, await _opened(call, token), name)


async def _opened(call: Call, token: str) -> str:
    """Return the recording that a link opens. Raises Problem if the browser has not given the link's passcode."""
    link = await _link(call, token)
    if link.passcode_hash is not None:
        name = cookies.names(call.request, call.services.config.cookie_security).visit
        if not call.services.tokens.visit_matches(link.id, call.request.cookies.get(name, "")):
            raise Problem(403, "link_passcode_required", "This link requires a passcode.")
    return link.recording_id


async def _link(call: Call, token: str) -> LinkRow:
    async with call.services.pool.acquire() as connection:
        link = await links.by_token(connection, token)
    if link is None:
        await call.services.limits.spend("shared", call.network, 100, 600)
        raise _no_link()
    return link


def _public(row: LinkRow, url: str | None = None) -> SharedLink:
    return SharedLink.from_row(row, url=url, passcode_required=row.passcode_hash is not None)


def _no_link() -> Problem:
    return not_found("This link is invalid: it has expired or was deleted.")
