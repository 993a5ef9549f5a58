"""Shared links of recordings: until it expires, a link lets anyone watch and download that recording, nothing else.

A link of a film, such as a clip, opens that film alone, with the captions of its parts. A link may have a passcode, and
may be limited to people with an e-mail address of some domains (`link_visits`). A browser that proved both keeps a
signed cookie for this link and for half a day.
"""

from typing import Annotated, TypeVar

import msgspec
from quart import Response

from control.api import link_visits
from control.api.conversation_types import CaptionLine, Captions, CaptionWord
from control.api.paging import LinkQuery, cut
from control.api.recording_types import RecordingDetail
from control.api.recordings import captions, composition_of, detail, public_recording, send
from control.api.types import Answer, Body, Done, Email, GivenPasscode, Passcode, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.files.archive import film_files
from control.problem import Problem, forbidden, not_found
from control.store import audit, films, links, meetings, recordings
from control.store.films import FilmRow
from control.store.links import LinkRow
from control.store.recordings import RecordingRow

endpoints = Endpoints("recordings", scope="recordings")
_Timed = TypeVar("_Timed", CaptionLine, CaptionWord)
Domain = Annotated[str, msgspec.Meta(min_length=3, max_length=253, pattern=r"^[^@\s.,;]+(\.[^@\s.,;]+)+$(?!\n)")]


class ShareRecording(Body, frozen=True, kw_only=True):
    """`film` is an ordered film that is done: the link opens that film alone, not the recording.

    With `domains`, the link opens only for people with an e-mail address of one of these domains: accounts that
    confirmed it, and, if the server sends mail, whoever gives a code mailed to it. Subdomains are other domains.
    """

    days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 7
    passcode: Passcode | None = None
    film: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    domains: Annotated[list[Domain], msgspec.Meta(max_length=20)] = msgspec.field(default_factory=list)


class OpenShared(Body, frozen=True, kw_only=True):
    """Either the passcode, or an address with the code mailed to it."""

    passcode: GivenPasscode | None = None
    address: Email | None = None
    code: Annotated[str, msgspec.Meta(max_length=20)] | None = None


class AskForCode(Body, frozen=True, kw_only=True):
    address: Email


class SharedLink(Answer, frozen=True, kw_only=True):
    """`url` is shown once, when the link is created. It is relative to this server."""

    id: str
    created_at: Time
    expires_at: Time
    passcode_required: bool
    domains: list[str]
    film: str | None = None
    url: str | None = None


class SharedRecording(RecordingDetail, frozen=True, kw_only=True):
    """Contents of a link. If that is a film (`clip`), length and size are the film's, and there are no tracks."""

    clip: bool
    expires_at: Time


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
        if body.film is not None:
            film = await films.of_recording(connection, recording, body.film)
            if film is None or film.made is None:
                raise not_found("This recording has no such film, or it is not done yet.")
        row, token = await links.create(
            connection,
            recording,
            call.user.user,
            body.days * 86400,
            passcode_hash=passcode_hash,
            film=body.film,
            domains=sorted({domain.casefold() for domain in body.domains}),
        )
        await audit.write(connection, call.actor, "share_recording", recording, call.address, link=row.id)
    url = f"/api/v1/shared/{token}"
    return _public(row, url)


@endpoints.route("GET", "/api/v1/recordings/<recording>/links", Access.RECORDING, query=LinkQuery, answer=SharedLinks)
async def list_links(call: Call, recording: str, query: LinkQuery) -> SharedLinks:
    """List the valid links of the recording."""
    async with call.services.pool.acquire() as connection:
        rows = await links.of_recording(connection, recording)
    page, following = cut(SharedLink, [_public(row) for row in rows], query, searched=("domains",))
    return SharedLinks(links=page, next=following)


@endpoints.route("DELETE", "/api/v1/recordings/<recording>/links/<link>", Access.RECORDING, answer=Done)
async def delete_link(call: Call, recording: str, link: str) -> Done:
    """Delete a link. It stops working at once."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await links.delete(connection, recording, link):
            raise not_found("There is no such link.")
        await audit.write(connection, call.actor, "unshare_recording", recording, call.address, link=link)
    return Done()


@endpoints.route("POST", "/api/v1/shared/<token>/open", Access.ANYONE, body=OpenShared, answer=Done)
async def open_shared_recording(call: Call, token: str, body: OpenShared) -> Response:
    """Give the passcode of a link, or a mailed code. The response sets a cookie that opens the link for half a day."""
    link = await _link(call, token)
    if body.passcode is not None:
        return await link_visits.give_passcode(call, token, link, body.passcode)
    if body.address is None or body.code is None:
        raise Problem(400, "invalid_request", "Give either `passcode`, or `address` and `code`.")
    return await link_visits.give_code(call, token, link, body.address, body.code)


@endpoints.route("POST", "/api/v1/shared/<token>/code", Access.ANYONE, body=AskForCode, answer=Done, status=202)
async def mail_shared_code(call: Call, token: str, body: AskForCode) -> Done:
    """Mail a code to an address of the link's domains. Whoever gives it may open the link."""
    await link_visits.mail_code(call, await _link(call, token), body.address)
    return Done()


@endpoints.route("GET", "/api/v1/shared/<token>", Access.ANYONE, answer=SharedRecording)
async def get_shared_recording(call: Call, token: str) -> SharedRecording:
    """Return the recording that a link opens. Its files are below `files/`."""
    link = await _opened(call, token)
    async with call.services.pool.acquire() as connection:
        row = await recordings.by_id(connection, link.recording_id)
        meeting = None if row is None else await meetings.by_id(connection, row.meeting_id)
    if row is None or meeting is None:
        raise _no_link()
    film = await _film(call, link)
    if film is None:
        whole = await detail(call.services, row, meeting.title)
        return SharedRecording.from_row(whole, clip=False, expires_at=link.expires_at)
    made = composition_of(None, film.made)
    shown = public_recording(call.services, row, meeting.title)
    clip = msgspec.structs.replace(
        shown,
        duration_ms=sum(end - start for start, end in _ranges(film, row)),
        bytes=made.bytes,
        problems=[],
        film=made.file,
    )
    return SharedRecording(recording=clip, tracks=[], composition=made, clip=True, expires_at=link.expires_at)


@endpoints.route("GET", "/api/v1/shared/<token>/captions", Access.ANYONE, answer=Captions)
async def get_shared_captions(call: Call, token: str) -> Captions:
    """Return the captions of the recording that a link opens; times count from its start."""
    link = await _opened(call, token)
    async with call.services.pool.acquire() as connection:
        row = await recordings.by_id(connection, link.recording_id)
    if row is None:
        raise _no_link()
    film, said = await _film(call, link), await captions(call.services, row)
    return said if film is None else Captions(captions=within(_ranges(film, row), said.captions))


@endpoints.route("GET", "/api/v1/shared/<token>/files/<path:name>", Access.ANYONE, content_type="*/*")
async def download_shared_file(call: Call, token: str, name: str) -> Response:
    """Download a file of the recording that a link opens."""
    link = await _opened(call, token)
    film = await _film(call, link)
    if film is not None and (film.made is None or name not in film_files(film.made["file"])):
        raise not_found("This film has no such file.")
    return await send(call, link.recording_id, name)


async def _film(call: Call, link: LinkRow) -> FilmRow | None:
    """Return the film that a link opens, None if it opens the whole recording."""
    if link.film_id is None:
        return None
    async with call.services.pool.acquire() as connection:
        film = await films.of_recording(connection, link.recording_id, link.film_id)
    if film is None:
        raise _no_link()
    return film


def _ranges(film: FilmRow, row: RecordingRow) -> list[tuple[int, int]]:
    """Return the parts of the recording in a film, in ms; all of it if the film has no ranges."""
    length = row.duration_ms or 0
    given = film.options.get("ranges") or [(0, length)]
    return [(start, min(end, length)) for start, end in given]


def within(ranges: list[tuple[int, int]], said: list[CaptionLine]) -> list[CaptionLine]:
    """Return the lines that are heard in a film of these parts, with times from its start."""
    lines, before = [], 0
    for start, end in ranges:
        lines += [_moved(one, start, end, before) for one in said if one.end_ms > start and one.start_ms < end]
        before += end - start
    return lines


def _moved(line: CaptionLine, start: int, end: int, before: int) -> CaptionLine:
    """Return a line with its times, as far as they are from `start` to `end`, counted from `before`."""

    def moved(timed: _Timed) -> _Timed:
        first, last = (before + min(max(ms, start), end) - start for ms in (timed.start_ms, timed.end_ms))
        return msgspec.structs.replace(timed, start_ms=first, end_ms=last)

    return msgspec.structs.replace(moved(line), words=[moved(word) for word in line.words])


async def _opened(call: Call, token: str) -> LinkRow:
    """Return a link that may be opened. Raises Problem 403 if the browser has not proved what the link requires."""
    link = await _link(call, token)
    await link_visits.check(call, link)
    return link


async def _link(call: Call, token: str) -> LinkRow:
    async with call.services.pool.acquire() as connection:
        link = await links.by_token(connection, token)
    if link is None:
        await call.services.limits.spend("shared", call.network, 100, 600)
        raise _no_link()
    return link


def _public(row: LinkRow, url: str | None = None) -> SharedLink:
    return SharedLink.from_row(row, url=url, passcode_required=row.passcode_hash is not None, film=row.film_id)


def _no_link() -> Problem:
    return not_found("This link is invalid: it has expired or was deleted.")
