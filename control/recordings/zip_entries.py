"""ZIP file of a finished recording: its tracks, the composed film, the captions and the manifest."""

from control import transcript_formats
from control.files import archive
from control.http.zip_stream import Entry
from control.services import Services
from control.store import transcript
from control.store.recordings import RecordingRow

MAX_LINES = 20_000
_FILM = "Everybody.mp4"


async def entries(services: Services, row: RecordingRow) -> list[Entry]:
    """Return the entries of the ZIP file. Raises Problem 404 while there is no manifest, or if a file was deleted."""
    manifest = await services.archive.manifest(row.id)
    found = []
    for track in manifest.tracks:
        for file in track.files:
            name = archive.within(row.id, file.key)
            key, _ = await services.archive.file(row.id, name)
            found.append(Entry(archive.download_name(track, name), key=key))
    if row.composed is not None:
        key, _ = await services.archive.file(row.id, row.composed["file"])
        found.append(Entry(_FILM, key=key))
    key, _ = await services.archive.file(row.id, archive.MANIFEST)
    return [*found, *await _transcript(services, row), Entry(archive.MANIFEST, key=key)]


async def _transcript(services: Services, row: RecordingRow) -> list[Entry]:
    async with services.pool.acquire() as connection:
        rows = await transcript.captions_within(
            connection, row.meeting_id, row.started_at, row.duration_ms or 0, MAX_LINES
        )
    if not rows:
        return []
    return [
        Entry("transcript.txt", data=transcript_formats.as_text(rows).encode()),
        Entry("transcript.vtt", data=transcript_formats.as_webvtt(rows).encode()),
    ]
