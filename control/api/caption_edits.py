"""Transcript of a recording: downloads in the usual formats, and edits of its lines with their history."""

from quart import Response

from control import transcript_formats
from control.api.conversation_types import CaptionVersion, CaptionVersions, EditCaption, TranscriptQuery
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import Problem, not_found
from control.recordings import zip_entries
from control.store import audit, caption_versions, transcript

endpoints = Endpoints("recordings", scope="recordings")
_FORMATS = {
    "vtt": (transcript_formats.as_webvtt, "text/vtt"),
    "srt": (transcript_formats.as_subrip, "application/x-subrip"),
    "txt": (transcript_formats.as_text, "text/plain"),
}


@endpoints.route(
    "GET", "/api/v1/recordings/<recording>/transcript", Access.RECORDING, query=TranscriptQuery, content_type="*/*"
)
async def download_transcript(call: Call, recording: str, query: TranscriptQuery) -> Response:
    """Download the transcript as WebVTT, SubRip or text; times count from the recording's start."""
    row = call.standing.recording
    assert row is not None
    async with call.services.pool.acquire() as connection:
        lines = await transcript.captions_within(
            connection, row.meeting_id, row.started_at, row.duration_ms or 0, zip_entries.MAX_LINES
        )
    write, kind = _FORMATS[query.format]
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="transcript-{recording}.{query.format}"',
    }
    return Response(write(lines), 200, headers, content_type=f"{kind}; charset=utf-8")


@endpoints.route(
    "PUT",
    "/api/v1/recordings/<recording>/captions/<utterance>",
    Access.RECORDING,
    body=EditCaption,
    answer=CaptionVersions,
)
async def edit_caption(call: Call, recording: str, utterance: str, body: EditCaption) -> CaptionVersions:
    """Change the text of a caption, for search, downloads and everybody who reads it. Earlier texts are kept.

    To restore an earlier text, send it.
    """
    row = call.standing.recording
    assert row is not None
    if row.hold is not None:
        raise Problem(
            409, "held", "This recording is on legal hold. Its transcript cannot change until it is released."
        )
    user = None if call.principal is None or call.principal.user is None else call.principal.user.user
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await caption_versions.edit(connection, row.meeting_id, utterance, body.text.strip(), user):
            raise _no_caption()
        await audit.write(connection, call.actor, "edit_caption", recording, call.address)
    return await _versions(call, utterance)


@endpoints.route(
    "GET",
    "/api/v1/recordings/<recording>/captions/<utterance>/versions",
    Access.RECORDING,
    answer=CaptionVersions,
)
async def list_caption_versions(call: Call, recording: str, utterance: str) -> CaptionVersions:
    """List the texts of a caption, latest first and all at once (at most 50), with who wrote each and when.

    Version 0 is the recogniser's.
    """
    return await _versions(call, utterance)


async def _versions(call: Call, utterance: str) -> CaptionVersions:
    async with call.services.pool.acquire() as connection:
        rows = await caption_versions.of_caption(connection, call.standing.meeting.id, utterance)
    if not rows:
        raise _no_caption()
    return CaptionVersions(versions=[CaptionVersion.from_row(row) for row in rows])


def _no_caption() -> Problem:
    return not_found("This recording has no such caption.")
