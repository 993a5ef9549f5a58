"""Recordings: an index of the recorder's files, which are authoritative."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from control.database import Connection, contains, load
from control.store.window import Window
from sfu.api.facts import RecordingFinished, SegmentClosed

State = Literal["recording", "sealing", "ready", "partial", "empty"]
Hold = Literal["host", "admin"]
HELD_MEETINGS = "(SELECT meeting_id FROM meeting_recordings WHERE hold IS NOT NULL)"
"""A subquery: the meetings whose chat, captions and notes a hold keeps."""
TABLES = ("meeting_recordings", "recording_segments", "recording_links")
"""Tables that `parley recording rescan` restores."""

_OWN = "SELECT r.* FROM meeting_recordings r WHERE r.owner_id = $1"
_CO_HOSTED = """SELECT r.* FROM meeting_recordings r WHERE r.owner_id <> $1 AND r.meeting_id IN (
    SELECT m.id FROM meeting_participants p JOIN meetings m ON m.id = p.meeting_id OR m.breakout_of = p.meeting_id
    WHERE p.user_id = $1 AND p.role = 'co-host' AND p.removed_at IS NULL)"""
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003fffd]")
"""Characters of scripts without spaces, as in the database's function `cjk_grams`."""
_MOST_WORDS = 8
_DURING = "c.meeting_id = r.meeting_id AND c.said_at BETWEEN r.started_at AND coalesce(r.stopped_at, now())"


def words_of(search: str) -> list[str]:
    """Return the words of a search, each of which must be found. The last of too many words is the rest."""
    return search.split(maxsplit=_MOST_WORDS - 1) or [search]


def _matches(column: str, word: str, parameter: int) -> str:
    """Return the condition that a column contains the word whose pattern is this parameter.

    Trigrams index words of three characters; `cjk_grams` indexes the shorter ones of scripts without spaces.
    """
    pattern = f"lower(${parameter})"
    condition = f"lower({column}) LIKE {pattern}"
    if _CJK.search(word):
        condition += f" AND cjk_grams(lower({column})) @> cjk_grams({pattern})"
    return condition


def _found(word: str, parameter: int) -> str:
    """Return the condition that a word occurs in a recording's title, names or captions.

    PostgreSQL may evaluate each part per recording, or once for all recordings with an index. Of the two conditions on
    captions, the first is the part of the second that an index supports.
    """
    said = _matches("c.text", word, parameter)
    return (
        f"(r.meeting_id IN (SELECT id FROM meetings WHERE {_matches('title', word, parameter)})"  # noqa: S608  constants
        " OR EXISTS (SELECT FROM recording_segments s JOIN meeting_participants n ON n.id = s.participant_id"
        f" WHERE s.recording_id = r.id AND {_matches('n.name', word, parameter)})"
        f" OR (EXISTS (SELECT FROM captions c WHERE c.meeting_id = r.meeting_id AND {said})"
        f" AND EXISTS (SELECT FROM captions c WHERE {_DURING} AND {said})))"
    )


def _relevance(words: Sequence[str], first: int) -> str:
    """Return the expression by which a search ranks: lines with any of the words, and one more for the title.

    A fraction from the time puts the newer one first among equals.
    """
    said = " OR ".join(f"({_matches('c.text', word, first + index)})" for index, word in enumerate(words))
    title = " OR ".join(f"({_matches('m.title', word, first + index)})" for index, word in enumerate(words))
    return (
        f"((SELECT count(*) FROM captions c WHERE {_DURING} AND ({said}))"  # noqa: S608  constants
        f" + (SELECT count(*) FROM meetings m WHERE m.id = r.meeting_id AND ({title}))"
        " + extract(epoch FROM r.started_at) / 1e11)::double precision"
    )


def of_user_query(window: Window, words: Sequence[str] = ()) -> str:
    """Return the query for a page of a user's recordings; with `words`, of those in which each of these is found.

    Parameters are the user, the state, the words' patterns, and the window's.
    """
    column, key = f"r.{window.column}", "r.id"
    shown, order = "($2::text IS NULL OR r.state = $2)", window.order(column, key)
    follows = window.follows(column, key, 3 + len(words))
    own, co_hosted = f"{_OWN} AND {shown}", f"{_CO_HOSTED} AND {shown}"
    if words:
        found = " AND ".join(_found(word, 3 + index) for index, word in enumerate(words))
        matching = f"SELECT r.* FROM ({own} UNION ALL {co_hosted}) r WHERE {found}"  # noqa: S608  constants
        ranked = f"SELECT r.*, {_relevance(words, 3)} AS relevance FROM ({matching}) r"  # noqa: S608  constants
        either = f"SELECT r.* FROM ({ranked}) r WHERE {follows} {order}"  # noqa: S608  constants
    else:
        parts = f"({own} AND {follows} {order}) UNION ALL ({co_hosted} AND {follows} {order})"
        either = f"SELECT r.* FROM ({parts}) r {order}"  # noqa: S608  constants
    return (
        f"WITH page AS ({either})"  # noqa: S608  constants
        f" SELECT r.*, m.title FROM page r JOIN meetings m ON m.id = r.meeting_id {order}"
    )


class RecordingRow(msgspec.Struct, frozen=True):
    id: str
    meeting_id: str
    state: State
    started_by: str | None
    started_at: datetime
    stopped_at: datetime | None
    duration_ms: int | None
    bytes: int | None
    manifest: str | None
    composed: dict[str, Any] | None
    stalled: str | None
    problems: list[str]
    hold: Hold | None
    keep_days: int | None

    def kept_days(self, limit: int | None) -> int | None:
        """Return the days after which retention deletes it, given the server's limit; None for never."""
        return min((days for days in (self.keep_days, limit) if days is not None), default=None)


class FoundRow(RecordingRow, frozen=True):
    """A recording found by a search."""

    relevance: float
    """The number of matches, with a fraction that is larger for newer recordings."""


async def start(connection: Connection, recording: str, meeting: str, started_by: str, at: datetime) -> RecordingRow:
    return await connection.insert_new(
        RecordingRow, "meeting_recordings", id=recording, meeting_id=meeting, started_by=started_by, started_at=at
    )


async def by_id(connection: Connection, recording: str) -> RecordingRow | None:
    return await connection.one(RecordingRow, "SELECT * FROM meeting_recordings WHERE id = $1", recording)


async def running(connection: Connection, meeting: str) -> RecordingRow | None:
    return await connection.one(
        RecordingRow,
        "SELECT * FROM meeting_recordings WHERE meeting_id = $1 AND state = 'recording'"
        " ORDER BY started_at DESC LIMIT 1",
        meeting,
    )


async def of_meeting(connection: Connection, meeting: str) -> list[RecordingRow]:
    return await connection.all(
        RecordingRow,
        "SELECT * FROM meeting_recordings WHERE meeting_id = $1 ORDER BY started_at DESC LIMIT 500",
        meeting,
    )


async def of_all_rooms(
    connection: Connection, meeting: str, window: Window, state: State | None = None
) -> list[tuple[RecordingRow, str]]:
    """Return a page of the recordings of a meeting and of its breakout rooms, with the title of the room."""
    follows, order = window.follows("r.started_at", "r.id", 3), window.order("r.started_at", "r.id")
    rows = await connection.fetch(
        "SELECT r.*, m.title FROM meeting_recordings r JOIN meetings m ON m.id = r.meeting_id"  # noqa: S608  constants
        f" WHERE (m.id = $1 OR m.breakout_of = $1) AND ($2::text IS NULL OR r.state = $2) AND {follows} {order}",
        meeting,
        state,
        *window.values,
    )
    return [(load(RecordingRow, row), row["title"]) for row in rows]


async def of_user(
    connection: Connection, user: str, window: Window, state: State | None = None, search: str | None = None
) -> list[tuple[RecordingRow, str]]:
    """Return a page of the recordings that this user may access, with meeting titles.

    These are recordings of meetings where the user is host or co-host, and of their breakout rooms.

    Every word of `search` is found in the title, the names of recorded participants, or the captions during the
    recording.
    """
    kind: type[RecordingRow] = RecordingRow if search is None else FoundRow
    if search is None:
        rows = await connection.fetch(of_user_query(window), user, state, *window.values)
    else:
        words = words_of(search)
        async with connection.transaction():
            # The best plan depends on the rarity of the words and the number of the user's recordings.
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            query = of_user_query(window, words)
            rows = await connection.fetch(query, user, state, *map(contains, words), *window.values)
    return [(load(kind, row), row["title"]) for row in rows]


async def confirm(connection: Connection, recording: str, meeting: str, at: datetime) -> bool:
    """Record that the recorder has started; return False if the recording is unknown."""
    return await connection.change(
        "UPDATE meeting_recordings SET confirmed_at = coalesce(confirmed_at, $3) WHERE id = $1 AND meeting_id = $2",
        recording,
        meeting,
        at,
    )


async def set_stalled(connection: Connection, recording: str, meeting: str, reason: str | None) -> bool:
    """Set the reason why a recording cannot be stored now (None: it can); return False if it is unknown."""
    return await connection.change(
        "UPDATE meeting_recordings SET stalled = CASE WHEN state = 'recording' THEN $3 END"
        " WHERE id = $1 AND meeting_id = $2",
        recording,
        meeting,
        reason,
    )


async def seal(connection: Connection, meeting: str, at: datetime) -> list[str]:
    """Seal the running recordings of a meeting against additions; return their ids."""
    return await connection.column(
        "UPDATE meeting_recordings SET state = 'sealing', stopped_at = coalesce(stopped_at, $2), stalled = NULL"
        " WHERE meeting_id = $1 AND state = 'recording' RETURNING id",
        meeting,
        at,
    )


async def add_segment(connection: Connection, segment: SegmentClosed, at: datetime) -> bool:
    """Insert a closed segment; return False if the recording is unknown."""
    if await by_id(connection, segment.recording) is None:
        return False
    await connection.insert(
        "recording_segments",
        then="ON CONFLICT (recording_id, key) DO NOTHING",
        recording_id=segment.recording,
        key=segment.key,
        track=segment.track,
        participant_id=segment.participant,
        bytes=segment.bytes,
        sha256=segment.sha256,
        closed_at=at,
    )
    return True


async def finish(connection: Connection, finished: RecordingFinished, at: datetime) -> bool:
    """Record that the manifest is committed; return False if the recording is unknown."""
    return await connection.change(
        "UPDATE meeting_recordings SET state = $2, duration_ms = $3, bytes = $4, manifest = $5,"
        " stopped_at = $6, finished_at = $6, composed = NULL, stalled = NULL, problems = $8"
        " WHERE id = $1 AND meeting_id = $7",
        finished.recording,
        finished.state,
        finished.duration_ms,
        finished.bytes,
        finished.manifest,
        at,
        finished.room,
        finished.problems,
    )


async def bytes_per_day(connection: Connection) -> float:
    """Return the bytes per day of recordings and films over the last week."""
    taken = await connection.fetchval(
        "SELECT coalesce((SELECT sum(bytes) FROM recording_segments WHERE closed_at > now() - interval '7 days'), 0)"
        " + coalesce((SELECT sum((composed->>'bytes')::bigint) FROM meeting_recordings"
        "   WHERE composed IS NOT NULL AND started_at > now() - interval '7 days'), 0)"
    )
    return float(taken) / 7


async def bytes_of(connection: Connection, owner: str) -> int:
    """Return the bytes of the recordings of somebody's meetings: finished files or segments, and films."""
    return await connection.value(
        int,
        "SELECT coalesce(sum(coalesce(r.bytes, (SELECT sum(s.bytes) FROM recording_segments s"
        " WHERE s.recording_id = r.id), 0) + coalesce((r.composed->>'bytes')::bigint, 0)"
        " + coalesce((SELECT sum((f.made->>'bytes')::bigint) FROM recording_films f WHERE f.recording_id = r.id), 0)),"
        " 0)::bigint FROM meeting_recordings r WHERE r.owner_id = $1",
        owner,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    key: str
    track: str
    participant: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A composed film as described by its files; chapters have `start_ms` and `title`."""

    file: str
    bytes: int
    storyboard: str | None
    chapters: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A recording as described by its files."""

    recording: str
    meeting: str
    state: State
    started_unix_ms: int
    ended_unix_ms: int
    duration_ms: int | None
    bytes: int | None
    segments: tuple[Segment, ...]
    film: Film | None
    problems: tuple[str, ...] = ()
    hold: Hold | None = None

    @property
    def started_at(self) -> datetime:
        return _time(self.started_unix_ms)

    @property
    def stopped_at(self) -> datetime | None:
        return _time(self.ended_unix_ms) if self.ended_unix_ms else None

    def composed(self) -> dict[str, Any] | None:
        """Return the value of the row's column `composed`. The hash is missing, since the file is not read."""
        if self.film is None:
            return None
        return asdict(self.film) | {"sha256": "", "duration_ms": self.duration_ms}


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


async def restore(connection: Connection, found: Found) -> bool:
    """Restore a recording's rows from its files; return False if its meeting is unknown."""
    known = await connection.fetchval("SELECT true FROM meetings WHERE id = $1", found.meeting)
    if not known:
        return False
    await connection.execute(
        "INSERT INTO meeting_recordings (id, meeting_id, state, started_at, stopped_at, finished_at, duration_ms,"
        " bytes, manifest, composed, problems, hold) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (id) DO UPDATE SET problems = excluded.problems,"
        " state = excluded.state, stopped_at = excluded.stopped_at, duration_ms = excluded.duration_ms,"
        " bytes = excluded.bytes, manifest = excluded.manifest,"
        " composed = coalesce(meeting_recordings.composed, excluded.composed),"
        " hold = coalesce(meeting_recordings.hold, excluded.hold)",
        found.recording,
        found.meeting,
        found.state,
        found.started_at,
        found.stopped_at,
        found.duration_ms,
        found.bytes,
        None if found.duration_ms is None else f"{found.recording}/manifest.json",
        found.composed(),
        list(found.problems),
        found.hold,
    )
    await connection.executemany(
        "INSERT INTO recording_segments (recording_id, key, track, participant_id, bytes, sha256, closed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (recording_id, key) DO NOTHING",
        [
            (found.recording, one.key, one.track, one.participant, one.bytes, one.sha256, found.started_at)
            for one in found.segments
        ],
    )
    return True


async def set_composed(connection: Connection, recording: str, composed: dict[str, Any]) -> None:
    await connection.execute("UPDATE meeting_recordings SET composed = $2 WHERE id = $1", recording, composed)


async def delete(connection: Connection, recording: str) -> bool:
    """Delete a recording; return False if it is on hold or does not exist."""
    return await connection.change("DELETE FROM meeting_recordings WHERE id = $1 AND hold IS NULL", recording)


async def set_hold(connection: Connection, recording: str, hold: Hold | None, *, admin: bool) -> RecordingRow | None:
    """Place or release a hold. Returns None, without a change, if only an administrator may change it."""
    return await connection.one(
        RecordingRow,
        "UPDATE meeting_recordings SET hold = $2 WHERE id = $1 AND (hold IS DISTINCT FROM 'admin' OR $3) RETURNING *",
        recording,
        hold,
        admin,
    )


async def any_held(connection: Connection, meeting: str) -> bool:
    """Return whether a recording of the meeting or of its breakout rooms is on hold.

    Locks their rows, so that none gets a hold before the transaction ends.
    """
    holds = await connection.column(
        "SELECT hold FROM meeting_recordings WHERE meeting_id IN"
        " (SELECT id FROM meetings WHERE id = $1 OR breakout_of = $1) FOR UPDATE",
        meeting,
    )
    return any(hold is not None for hold in holds)


async def any_held_of(connection: Connection, user: str) -> bool:
    """Return whether a recording of this user's meetings is on hold."""
    held: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM meeting_recordings WHERE owner_id = $1 AND hold IS NOT NULL)", user
    )
    return held


async def abandoned(connection: Connection) -> list[RecordingRow]:
    """Return running recordings without a live room for a minute, and sealed ones unfinished for ten minutes."""
    return await connection.all(
        RecordingRow,
        "SELECT r.* FROM meeting_recordings r WHERE (r.state = 'recording'"
        " AND NOT EXISTS (SELECT FROM meeting_rooms l WHERE l.meeting_id = r.meeting_id"
        "   AND (l.closed_at IS NULL OR l.closed_at > now() - interval '1 minute'))"
        " AND r.started_at < now() - interval '1 minute')"
        " OR (r.state = 'sealing' AND r.stopped_at < now() - interval '10 minutes'"
        " AND NOT EXISTS (SELECT FROM recording_segments s WHERE s.recording_id = r.id"
        "   AND s.closed_at > now() - interval '10 minutes'))",
    )


async def settle_empty(connection: Connection, recording: str) -> bool:
    """Mark a recording as empty if no recorder can have it, since its room was never live while it ran."""
    return await connection.change(
        "UPDATE meeting_recordings r SET state = 'empty', stopped_at = coalesce(stopped_at, now()),"
        " finished_at = now(), duration_ms = 0, bytes = 0, stalled = NULL"
        " WHERE id = $1 AND state IN ('recording', 'sealing') AND confirmed_at IS NULL"
        " AND NOT EXISTS (SELECT FROM recording_segments s WHERE s.recording_id = r.id)"
        " AND NOT EXISTS (SELECT FROM meeting_rooms l WHERE l.meeting_id = r.meeting_id"
        "   AND (l.closed_at IS NULL OR l.closed_at > r.started_at - interval '1 minute'))",
        recording,
    )


async def give_up(connection: Connection, recording: str) -> None:
    """Advance an abandoned recording: seal a running one; finish a sealed one with the existing segments."""
    await connection.execute(
        "UPDATE meeting_recordings r SET stopped_at = coalesce(stopped_at, now()), stalled = NULL,"
        " state = CASE WHEN state = 'recording' THEN 'sealing' WHEN confirmed_at IS NULL AND NOT EXISTS"
        "   (SELECT FROM recording_segments s WHERE s.recording_id = r.id) THEN 'empty' ELSE 'partial' END"
        " WHERE id = $1 AND state IN ('recording', 'sealing')",
        recording,
    )


async def held(connection: Connection) -> list[RecordingRow]:
    """Return the recordings on hold."""
    return await connection.all(RecordingRow, "SELECT * FROM meeting_recordings WHERE hold IS NOT NULL LIMIT 10000")


async def outlived(connection: Connection, days: int | None) -> list[RecordingRow]:
    """Return finished recordings, not on hold, that are older than their meeting or the server (`days`) keeps them."""
    return await connection.all(
        RecordingRow,
        "SELECT * FROM meeting_recordings WHERE state IN ('ready', 'partial', 'empty') AND hold IS NULL"
        " AND started_at < now() - make_interval(days => least(keep_days, $1::integer)) LIMIT 1000",
        days,
    )
