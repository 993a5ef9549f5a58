"""Control at scale: lists, searches and deletions over 100,000 meetings, each requested separately over HTTP.

One host has a fifth of the meetings. There are 500,000 participants with their visits, a million chat messages (a tenth
of them in one meeting), 300,000 captions, 20,000 recordings, and a week of events and audit entries. PostgreSQL and
control are separate processes on this machine, which may be busy: figures are the p50 of 12 requests, after one that
warms the caches. --quick uses a tenth of the data.
"""

import hashlib
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
import uvloop

from bench.control_load import control, postgres
from bench.report import Report, progress
from control.database import session
from control.identity import keys
from control.identity.tokens import Tokens
from control.store import sessions

REPEATED = 12
CROWDED = 65
DELETED = 5
LIST_BAR_MS = 25
DELETE_BAR_MS = 200
HOST, NEWCOMER, ADMIN = 0, 1, 2
"""Accounts that send requests: the host of many meetings, one without meetings, an administrator."""
_PEOPLE = 2000

# $1 is how many meetings there are. Accounts are numbered from 0, which hosts a fifth.
_SEED = (
    """INSERT INTO users (id, username, username_key, display_name, password_hash, role)
       SELECT 'user' || n, 'user' || n, 'user' || n, 'User', 'x', CASE WHEN n = {admin} THEN 'admin' ELSE 'user' END
       FROM generate_series(0, 2 + {people}) n""",
    "CREATE TEMP TABLE account AS SELECT id, substr(username, 5)::int AS number FROM users",
    "CREATE UNIQUE INDEX ON account (number)",
    "CREATE UNIQUE INDEX ON account (id)",
    "ANALYZE account",
    """INSERT INTO users (id, username, username_key, display_name, password_hash)
       SELECT 'someone' || n, 'someone' || n, 'someone' || n, 'Someone', 'x' FROM generate_series(1, $1::int / 5) n""",
    """INSERT INTO meetings (id, host_id, title, status, created_at, started_at, ended_at, scheduled_start)
       SELECT 'm' || n, a.id, substr(md5(n::text), 1, 8) || ' review ' || n,
         CASE WHEN n % 50 = 0 THEN 'scheduled' ELSE 'ended' END,
         now() - make_interval(secs => n * 30), now() - make_interval(secs => n * 30),
         CASE WHEN n % 50 <> 0 THEN now() - make_interval(secs => n * 30) END,
         CASE WHEN n % 5000 = 0 THEN now() + make_interval(hours => n / 5000) END
       FROM generate_series(1, $1::int) n
       JOIN account a ON a.number = CASE WHEN n % 5 = 0 THEN 0 ELSE 3 + n % (SELECT count(*) - 3 FROM account) END""",
    "INSERT INTO room_state (meeting_id, version, document)"
    " SELECT id, 1, jsonb_build_object('room', id, 'version', 1) FROM meetings WHERE $1::int > 0",
    """INSERT INTO meeting_participants (id, meeting_id, user_id, name, role, rejoin_hash, created_at, joined_at)
       SELECT 'p' || n || '-' || k, 'm' || n, CASE WHEN k = 1 THEN m.host_id WHEN a.id <> m.host_id THEN a.id END,
         'Person ' || k, CASE WHEN k = 1 THEN 'host' ELSE 'participant' END, '', m.created_at, m.created_at
       FROM generate_series(1, $1::int) n JOIN meetings m ON m.id = 'm' || n
       CROSS JOIN generate_series(1, CASE WHEN n <= 10 THEN {crowded} ELSE 5 END) k
       LEFT JOIN account a ON k = 2 AND a.number = 3 + (n * 7 + k) % {people}""",
    """INSERT INTO signaling_sessions (meeting_id, participant_id, node, joined_at, left_at, leave_reason)
       SELECT meeting_id, id, 'sfu-1', created_at, created_at, 'left' FROM meeting_participants WHERE $1::int > 0""",
    """INSERT INTO media_streams (track, meeting_id, participant_id, source, codec, published_at, unpublished_at)
       SELECT 't' || k, 'm' || n, 'p' || n || '-' || k, 'camera', 'VP8', now(), now()
       FROM generate_series(1, $1::int) n CROSS JOIN generate_series(1, 2) k""",
    # A tenth of the messages is in one meeting, m20.
    """INSERT INTO signaling_messages (meeting_id, message, participant_id, name, text, sent_at)
       SELECT 'm' || n, 'c' || n || '-' || k, 'p' || n || '-' || 1 + k % 5, 'Person', 'Message ' || k,
         now() - make_interval(secs => k)
       FROM generate_series(1, $1::int) n
       CROSS JOIN generate_series(1, CASE WHEN n = 20 THEN $1::int ELSE 9 END) k""",
    """INSERT INTO captions (meeting_id, utterance, participant_id, track, start_ms, end_ms, lang, text, model, said_at)
       SELECT 'm' || n, 'u' || k, 'p' || n || '-' || k, 't1', k * 1000, k * 1000 + 900, 'en',
         'We talk about ' || substr(md5('m' || n), 1, 8) || ' of the plan', 'm', m.created_at + make_interval(secs => k)
       FROM generate_series(1, $1::int) n JOIN meetings m ON m.id = 'm' || n CROSS JOIN generate_series(1, 3) k""",
    """INSERT INTO meeting_recordings (id, meeting_id, state, started_at, stopped_at, finished_at, duration_ms, bytes)
       SELECT 'r' || n, 'm' || n * 5, 'ready', m.created_at, m.created_at + interval '1 minute', now(), 60000, 1000000
       FROM generate_series(11, $1::int / 5) n JOIN meetings m ON m.id = 'm' || n * 5 WHERE n % 5 = 0
       UNION ALL
       SELECT 'q' || n, 'm' || n * 5 + 1, 'ready', m.created_at, m.created_at + interval '1 minute', now(), 60000, 100
       FROM generate_series(11, $1::int / 5) n JOIN meetings m ON m.id = 'm' || n * 5 + 1 WHERE n % 5 <> 0""",
    """INSERT INTO recording_segments (recording_id, key, track, participant_id, bytes, sha256, closed_at)
       SELECT r.id, 'k' || k, 't' || k, 'p' || substr(r.meeting_id, 2) || '-' || k, 1000, 'x', r.started_at
       FROM meeting_recordings r CROSS JOIN generate_series(1, 2) k WHERE $1::int > 0""",
    """INSERT INTO outbox (topic, key, meeting_id, seq, kind, payload, published_at)
       SELECT 'meeting.events.meeting_events', 'm' || n, 'm' || n, 1, 'meeting.user_joined',
         jsonb_build_object('meeting', 'm' || n, 'participant', 'p' || n || '-1', 'name', 'Person'), now()
       FROM generate_series(1, $1::int) n""",
    "ANALYZE",
    """INSERT INTO operation_logs (actor, action, target, detail)
       SELECT a.id, 'participant.removed', 'p' || n || '-2', jsonb_build_object('meeting', 'm' || n)
       FROM generate_series(1, $1::int) n JOIN account a ON a.number = 3 + n % {people}""",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A repeated request: its name, the account, the path."""

    name: str
    account: int
    path: str


def _word(of: str) -> str:
    """Return the word in the title of a meeting, which is also in its captions."""
    return hashlib.md5(of.encode(), usedforsecurity=False).hexdigest()[:8]


QUESTIONS = (
    Question("list 50", HOST, "/meetings?limit=50"),
    Question("list 200", HOST, "/meetings?limit=200"),
    Question("history", HOST, "/my/meetings/history?limit=50"),
    Question("upcoming", HOST, "/my/meetings/upcoming"),
    Question("recordings of the host", HOST, "/recordings"),
    Question("recordings of an account without any", NEWCOMER, "/recordings"),
    Question("recordings, search: in one title", HOST, f"/recordings?search={_word('2525')}"),
    Question("recordings, search: in nothing", HOST, "/recordings?search=zebra"),
    Question("recordings, search: said", HOST, f"/recordings?search={_word('m2525')}"),
    Question("messages of 100,000", ADMIN, "/meetings/m20/messages?limit=50"),
    Question("admin: meetings", ADMIN, "/admin/meetings"),
    Question("admin: users, search", ADMIN, "/admin/users?search=one19"),
    Question("admin: statistics", ADMIN, "/admin/meetings/stats"),
    Question("admin: audit", ADMIN, "/admin/audit"),
)


def run(*, quick: bool) -> Report:
    """Seed the database and measure."""
    return uvloop.run(_measure(10_000 if quick else 100_000))


async def _measure(meetings: int) -> Report:
    report = Report()
    with tempfile.TemporaryDirectory(prefix="ps") as directory, postgres(Path(directory)) as cluster:
        async with control(cluster, Path(directory)) as (_, address):
            await _seed(cluster.dsn, meetings)
            tokens = await _tokens(cluster.dsn, Path(directory) / "data")
            async with aiohttp.ClientSession(f"http://{address}") as session:
                client = _Client(session, tokens)
                for question in QUESTIONS:
                    await _ask(report, client, question, meetings)
                took = [(await client.ask(HOST, "/recordings?search=of+the+plan"))[0] for _ in range(REPEATED)]
                case = f"recordings, search: said in all {meetings} meetings"
                report.add(case, "p50", statistics.median(took), "ms")
                deep = await _deep_page(client)
                await _ask(report, client, Question("list, deep page", HOST, deep), meetings)
                await _delete(report, client, cluster.dsn, meetings)
    return report


@dataclass(frozen=True, slots=True)
class _Client:
    session: aiohttp.ClientSession
    tokens: list[str]

    async def ask(self, account: int, path: str, method: str = "GET") -> tuple[float, bytes]:
        """Return the response time in milliseconds, and the response; raises RuntimeError for a refusal."""
        headers = {"Authorization": f"Bearer {self.tokens[account]}"}
        begun = time.perf_counter()
        async with self.session.request(method, f"/api/v1{path}", headers=headers) as answer:
            body = await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {body[:200]!r}")
        return (time.perf_counter() - begun) * 1000, body


async def _ask(report: Report, client: _Client, question: Question, meetings: int) -> None:
    await client.ask(question.account, question.path)
    took = [(await client.ask(question.account, question.path))[0] for _ in range(REPEATED)]
    report.at_most(f"{question.name}, {meetings} meetings", "p50", statistics.median(took), "ms", LIST_BAR_MS)


async def _deep_page(client: _Client) -> str:
    """Return the path of a page after 4,000 meetings, or of the last page."""
    path = "/meetings?limit=200"
    for _ in range(20):
        _, body = await client.ask(HOST, path)
        cursor = msgspec.json.decode(body)["next"]
        if cursor is None:
            break
        path = f"/meetings?limit=200&cursor={cursor}"
    return path


async def _delete(report: Report, client: _Client, dsn: str, meetings: int) -> None:
    crowded = [(await client.ask(ADMIN, f"/meetings/m{n}", "DELETE"))[0] for n in range(1, 1 + DELETED)]
    case = f"delete a meeting of {CROWDED}, {meetings} meetings"
    report.at_most(case, "p50", statistics.median(crowded), "ms", DELETE_BAR_MS)
    report.add(case, "longest", max(crowded), "ms")
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT u.id, (SELECT count(*) FROM meetings WHERE host_id = u.id) AS hosted,"
        " (SELECT count(*) FROM meeting_participants WHERE user_id = u.id) AS visited"
        " FROM users u WHERE username = ANY($1)",
        [f"user{3 + n}" for n in range(100, 100 + DELETED)],
    )
    # What somebody hosted is deleted meeting by meeting: few of them, so that the account's own rows are measured.
    for row in rows:
        await connection.execute(
            "UPDATE meetings SET host_id = (SELECT id FROM users WHERE username = 'user0') WHERE host_id = $1"
            " AND id NOT IN (SELECT id FROM meetings WHERE host_id = $1 LIMIT 2)",
            row["id"],
        )
    visited = max(row["visited"] for row in rows)
    await connection.close()
    took = [(await client.ask(ADMIN, f"/admin/users/{row['id']}", "DELETE"))[0] for row in rows]
    case = f"delete an account in {visited} meetings, host of 2"
    report.at_most(case, "p50", statistics.median(took), "ms", DELETE_BAR_MS)
    report.add(case, "longest", max(took), "ms")


async def _tokens(dsn: str, keys_dir: Path) -> list[str]:
    """Sign in the accounts after the seeding, which may outlast a token; return their tokens."""
    tokens = Tokens(keys.load(keys_dir, may_create=False))
    made = []
    async with session(dsn) as connection:
        for account in (HOST, NEWCOMER, ADMIN):
            user = f"user{account}"
            signed = await sessions.create(connection, user, 1, "bench", "127.0.0.1", strong=False)
            made.append(tokens.access(user, signed, 1))
    return made


async def _seed(dsn: str, meetings: int) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in progress(_SEED, "seeding"):
        text = statement
        for name, value in (("crowded", CROWDED), ("people", _PEOPLE), ("admin", ADMIN)):
            text = text.replace(f"{{{name}}}", str(value))
        await connection.execute(text, *([meetings] if "$1" in text else []), timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)
    await connection.close()
