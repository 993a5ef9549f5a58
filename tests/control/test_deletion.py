"""Deleting an account or a meeting leaves nothing behind in any store; an unlisted store fails the test.

Every row of every table, every key of Redis, every object, file and document is searched for the identifiers and for
spoken and written text. Data that stays is listed below, with the reason.
"""

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import redis.asyncio as redis

from control.config import ControlConfig
from control.database import Connection
from control.services import open_services
from control.store import outbox
from control.store.ai_results import AiResult
from foundation.setting_groups import SETTINGS
from tests.control.ai.test_results import keep
from tests.control.authorization_stage import PICTURE
from tests.control.harness import Client, People, Server, come_in, serving
from tests.control.test_recordings import write_recording
from tests.support.mongodb import running_mongodb

# Rows about people or meetings: they go with them.
ERASED = {
    "account_tokens",
    "agent_jobs",
    "ai_tasks",
    "api_keys",
    "breakout_assignments",
    "broadcast_outputs",
    "broadcasts",
    "caption_versions",
    "caption_translations",
    "captions",
    "consents",
    "document_updates",
    "idempotency_keys",
    "invitations",
    "livekit_egresses",
    "livekit_ingresses",
    "livekit_rooms",
    "livekit_streams",
    "lobby_entries",
    "login_names",
    "loose_files",
    "media_files",
    "media_streams",
    "meeting_minutes",
    "meeting_participants",
    "meeting_recordings",
    "meeting_rooms",
    "meetings",
    "message_reactions",
    "notification_switches",
    "operation_logs",
    "outbox",
    "participant_quality",
    "passkey_challenges",
    "passkeys",
    "phone_calls",
    "phone_pins",
    "poll_votes",
    "polls",
    "processing_jobs",
    "provisioned_group_members",
    "provisioned_users",
    "question_votes",
    "questions",
    "recording_films",
    "recording_links",
    "recording_segments",
    "recovery_codes",
    "room_placements",
    "room_state",
    "signaling_messages",
    "signaling_sessions",
    "signed_links",
    "stream_keys",
    "user_identities",
    "user_sessions",
    "users",
    "webhook_deliveries",
    "webhooks",
    "webrtc_peers",
}
# Rows about neither.
IMPERSONAL = {
    "schema_migrations": "which migrations ran",
    "provisioned_groups": "names of an identity provider's groups",
    "nodes": "which nodes were seen",
    "node_addresses": "where nodes are reached",
    "fact_batches": "numbers of batches",
    "system_configs": "settings of the server",
    "livekit_keys": "keys of applications, named by administrators; the audit log says by whom",
    "livekit_sip": "an application's trunks and rules, which name its own numbers",
    "livekit_sip_version": "how often those changed",
    "storage_days": "how much was stored on each day, by everybody together",
    "live_settings": "settings of the server; who changed them becomes null",
}
# What says that something was deleted, and by whom: the identifier alone, until retention takes it.
TOMBSTONES = {"meeting.deleted", "user.deleted", "delete_meeting", "delete_user"}
# Settings that are paths, and what deletion means for what is there.
PATHS = {
    "data_dir": "searched here; below it are `control`, `recordings`, `media`, `models`, `flights` and the databases",
    "runtime_dir": "sockets and pid files",
    "recordings_dir": "searched here",
    "media_dir": "searched here, its spool too",
    "models_dir": "models",
    "phone_prompts": "what callers hear",
    "recording_key": "a key alone",
    "tls_certificate": "read only",
    "tls_key": "read only",
    "parts_ca": "read only",
    "parts_certificate": "read only",
    "parts_key": "read only",
    "sfu_nodes_file": "read only",
    "etcd_ca": "read only",
    "kafka_ca": "read only",
    "kafka_certificate": "read only",
    "kafka_key": "read only",
    "s3_ca": "read only",
    "sfu_webtransport_certificate": "read only",
    "sfu_webtransport_key": "read only",
    "voice_detector_card": "read only",
    "face_detector_card": "read only",
}
# Servers that settings name, and what deletion means for what they hold.
SERVERS = {
    "database_url": "every table is searched here",
    "redis_url": "every key is searched here",
    "mongodb_url": "every document is searched here",
    "kafka_brokers": "events that were published go by the topics' own retention: consumers hear of `*.deleted`",
    "s3_endpoint": "the same interface as the directory: tests/objects",
    "backup_s3_endpoint": "backups are copies of an operator's own, kept as long as the operator wants",
    "s3_public_endpoint": "the same store, as links to files lead there",
    "etcd_urls": "nodes and live settings, nothing about people",
    "otlp_url": "traces name rooms and participants by identifier, and go by the collector's own retention",
}
SAID = "a secret that was said in confidence"


@dataclass
class Left:
    """An account that hosted a meeting and took part in another one's, with everything that can come of it."""

    ids: list[str] = field(default_factory=list)
    of_meeting: list[str] = field(default_factory=list)
    meeting: str = ""
    elsewhere: str = ""
    user: str = ""


@pytest.fixture(scope="module")
def redis_socket() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="rd"))
    socket = directory / "s"
    program = shutil.which("redis-server")
    assert program is not None
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield socket
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        shutil.rmtree(directory)


@contextlib.asynccontextmanager
async def everything(config: ControlConfig, redis_socket: Path, mongodb: str) -> AsyncIterator[tuple[People, Server]]:
    full = replace(config, redis_url=f"unix://{redis_socket}", mongodb_url=mongodb)
    async with (
        serving(full) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield People(session, server), server


def test_every_store_is_named() -> None:
    paths = {setting.name for setting in SETTINGS if setting.kind is Path}
    assert paths == set(PATHS)
    suffixes = ("_url", "_urls", "_brokers", "_endpoint", "_endpoints")
    ours = {"control_url", "inference_url", "triton_urls", "summary_url", "turn_urls", "rtmp_url", "srt_url"}
    shown = {"imprint_url", "privacy_url"}
    named = {setting.name for setting in SETTINGS if setting.name.endswith(suffixes)} - ours - shown
    assert named == set(SERVERS)


async def test_every_table_is_named(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert {row["tablename"] for row in rows} == ERASED | set(IMPERSONAL)


@pytest.mark.parametrize("what", ["meeting", "account"])
async def test_nothing_is_left(config: ControlConfig, dsn: str, redis_socket: Path, what: str) -> None:
    with running_mongodb() as mongodb:
        async with everything(config, redis_socket, mongodb) as (people, server):
            ada, left = await live_a_little(people, server, dsn)
            before = await found(server, dsn, left.ids)
            assert {place.partition(":")[0] for place in before} >= ERASED - {"passkey_challenges"} - MONGO_HAS
            assert {"mongodb", "redis", "file"} <= {place.partition(":")[0] for place in before}
            if what == "meeting":
                await ada.ok("DELETE", f"/api/v1/meetings/{left.meeting}")
                gone = [left.meeting, *(one for one in left.ids if one.startswith(("recording_", "guest_")))]
            else:
                await ada.ok("DELETE", "/api/v1/users/account")
                gone = [*left.ids, SAID]
            after = await found(server, dsn, gone)
            assert [place for place in after if not may_stay(place)] == []


# With a MongoDB the results of AI are there instead.
MONGO_HAS = {"ai_tasks"}


def may_stay(place: str) -> bool:
    """Tombstones; and counters of limits, which Redis forgets within the hour."""
    return any(f'"{kind}"' in place or f"'{kind}'" in place for kind in TOMBSTONES) or place.startswith("redis:limit:")


async def live_a_little(people: People, server: Server, dsn: str) -> tuple[Client, Left]:
    """Use everything once; rows without a route, or of a part that is not running, are written directly."""
    bob, ada = await people.user("bob"), await people.user("ada")
    left = Left(user=ada.user["id"])
    left.meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Ada's"}))["id"]
    left.elsewhere = (await bob.ok("POST", "/api/v1/meetings", {"title": "Bob's"}))["id"]
    base, other = f"/api/v1/meetings/{left.meeting}", f"/api/v1/meetings/{left.elsewhere}"
    here = await ada.ok("POST", f"{base}/join", {})
    guest = await people.nobody().ok("POST", f"{base}/join", {"name": "Guest"})
    there = await ada.ok("POST", f"{other}/join", {})
    await come_in(bob, left.elsewhere, there["participant"])
    assigned = {"rooms": [{"title": "Blue", "participants": [guest["participant"]]}]}
    blue = (await ada.ok("POST", f"{base}/breakouts", assigned))["rooms"][0]["id"]
    await ada.ok("POST", "/api/v1/webhooks", {"url": "https://example.org/hook"})
    await ada.ok("POST", "/api/v1/users/api-keys", {"name": "k", "scopes": ["meetings:read"]})
    await ada.ok("POST", f"{base}/messages", {"text": SAID})
    await ada.ok("POST", f"{other}/messages", {"text": SAID})
    for meeting, client, own in ((left.meeting, ada, here), (left.elsewhere, bob, there)):
        path = f"/api/v1/meetings/{meeting}"
        await come_in(client, meeting, own["participant"])
        await client.ok("POST", f"{path}/polls", {"question": "Lunch?", "options": ["Soup", "Bread"]})
        await client.ok("PUT", f"{path}/spotlight", {"participant": own["participant"]})
        activities = await client.ok("GET", f"{path}/activities")
        await ada.ok("POST", f"{path}/polls/{activities['polls'][0]['id']}/vote", {"options": [0]})
        await ada.ok("POST", f"{path}/questions", {"text": SAID})
        await ada.ok("POST", f"{path}/document", {"update": "AAA="})
        [asked] = (await ada.ok("GET", f"{path}/activities"))["questions"]
        await ada.ok("POST", f"{path}/questions/{asked['id']}/vote", {"wanted": True})
    file = await _uploaded(ada, left.meeting)
    await ada.ok("POST", "/api/v1/meetings", {}, **{"Idempotency-Key": "once"})
    recording = f"recording_{left.meeting.replace('-', '')}"
    await asyncio.to_thread(write_recording, server.config.recordings_dir, recording)
    names = {
        "user": left.user,
        "meeting": left.meeting,
        "other": left.elsewhere,
        "here": here["participant"],
        "there": there["participant"],
        "recording": recording,
        "file": file,
        "said": SAID,
    }
    await _write(server, dsn, names)
    left.of_meeting = [left.meeting, here["participant"], guest["participant"], recording, file, blue]
    left.ids = [*left.of_meeting, left.user, there["participant"], "ada@example.org"]
    return ada, left


async def _uploaded(ada: Client, meeting: str) -> str:
    """A file, and a picture of the account's."""
    base = f"{ada.server.url}/api/v1"
    async with ada.session.post(f"{base}/users/upload-avatar", data=PICTURE, headers=ada.headers) as answer:
        assert answer.status == 200
    url = f"{base}/media/upload?name=a.png&meeting={meeting}"
    async with ada.session.post(url, data=PICTURE, headers=ada.headers) as answer:
        return str((await answer.json())["id"])


async def _write(server: Server, dsn: str, names: dict[str, str]) -> None:
    """Write what parts that are not running here would."""
    connection = await asyncpg.connect(dsn, connection_class=Connection)
    for statement in WRITTEN:
        await connection.execute(statement.format(**names))
    await outbox_of_another(connection, names)
    await connection.close()
    services = await open_services(replace(server.config, embedded=False))
    await keep(services, services.results, "job_kept", names["file"])
    await services.close()


async def outbox_of_another(connection: Connection, names: dict[str, str]) -> None:
    """An event about Ada in Bob's meeting, and its delivery to a webhook of Bob's."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_json, decoder=str)
    payload = {
        "meeting": names["other"],
        "participant": names["there"],
        "name": "Ada",
        "text": SAID,
        "at": 1,
        "message": "m",
    }
    await outbox.append(connection, outbox.SIGNALING_EVENTS, names["other"], "chat.sent", payload)
    await connection.execute(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, kind, body) SELECT id, 1, 'chat.sent', $1 FROM webhooks",
        _json(payload),
    )


def _json(value: Any) -> str:
    return json.dumps(value)


WRITTEN = (
    "UPDATE users SET email = 'ada@example.org', email_key = 'ada@example.org', email_verified_at = now()"
    " WHERE id = '{user}'",
    "INSERT INTO account_tokens (token_hash, user_id, purpose, email, expires_at)"
    " VALUES ('\\x01', '{user}', 'verify', 'ada@example.org', now())",
    "INSERT INTO loose_files (id, owner_id, until) VALUES ('file_of_an_upload', '{user}', now())",
    "INSERT INTO recovery_codes VALUES ('{user}', '\\x01')",
    "INSERT INTO user_identities (issuer, subject, user_id) VALUES ('i', 's', '{user}')",
    "INSERT INTO provisioned_users (user_id, user_name, user_name_key) VALUES ('{user}', 'ada', 'ada')",
    "INSERT INTO provisioned_groups (id, name, name_key) VALUES ('pg', 'Staff', 'staff')",
    "INSERT INTO provisioned_group_members VALUES ('pg', '{user}')",
    "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name)"
    " VALUES ('p', '{user}', '', '', 0, 'k')",
    "INSERT INTO passkey_challenges VALUES ('\\x01', '{user}', now())",
    "INSERT INTO invitations (code_hash, email_key, expires_at) VALUES ('\\x01', 'ada@example.org', now())",
    "INSERT INTO lobby_entries (id, meeting_id, user_id, name, ticket_hash) VALUES ('l', '{other}', '{user}', 'A', '')",
    "INSERT INTO livekit_rooms VALUES ('standup', '{meeting}')",
    "INSERT INTO agent_jobs (id, meeting_id, room, agent_name) VALUES ('j', '{meeting}', 'standup', '')",
    "INSERT INTO meeting_rooms (meeting_id, node, boot, opened_at) VALUES ('{meeting}', 'n', 'b', now())",
    "INSERT INTO media_streams VALUES ('t', '{meeting}', '{here}', 'camera', 'VP8', now())",
    "INSERT INTO signaling_sessions (meeting_id, participant_id, node, joined_at)"
    " VALUES ('{other}', '{there}', 'n', now())",
    "INSERT INTO consents (meeting_id, participant_id, consent, granted, text_version, given_at)"
    " VALUES ('{other}', '{there}', 'recording', true, 't', now())",
    "INSERT INTO captions VALUES ('{other}', 'u', '{there}', 't', 0, 1, 'en', '{said}', 'm', now())",
    "INSERT INTO notification_switches (user_id) VALUES ('{user}')",
    "INSERT INTO processing_jobs (id, kind, subject, options, not_before)"
    " VALUES ('jn', 'notification', '{user}', '{{}}', now() + interval '1 day')",
    "INSERT INTO caption_versions VALUES ('{other}', 'u', 0, '{said}', '{user}')",
    "INSERT INTO caption_translations VALUES ('{other}', 'u', 'de', '{said} {there}')",
    "INSERT INTO message_reactions SELECT meeting_id, message, participant_id, '+', now() FROM signaling_messages",
    "INSERT INTO meeting_recordings (id, meeting_id, state, started_at)"
    " VALUES ('{recording}', '{meeting}', 'ready', now())",
    "INSERT INTO livekit_egresses (id, meeting_id, recording_id, room, request, kind, options, owns)"
    " VALUES ('e', '{meeting}', '{recording}', 'standup', '', 'track', '{{}}', true)",
    "INSERT INTO livekit_streams (id, egress_id, kind, url) VALUES ('ls', 'e', 'rtmp', 'rtmp://host/{meeting}')",
    "INSERT INTO recording_segments VALUES ('{recording}', 'k', 't', '{here}', 1, 'x', now())",
    "INSERT INTO recording_films (id, recording_id, options) VALUES ('rf', '{recording}', '{{}}')",
    "INSERT INTO recording_links (id, recording_id, token_hash, created_by, expires_at)"
    " VALUES ('rl', '{recording}', '\\x01', '{user}', now())",
    "INSERT INTO signed_links (id, recording_id, name, created_by, expires_at)"
    " VALUES ('sl', '{recording}', 'n', '{user}', now())",
    "INSERT INTO stream_keys (id, meeting_id, name, role, key_hash, created_by)"
    " VALUES ('sk', '{other}', 'n', 'watch', '\\x01', '{user}')",
    "INSERT INTO stream_keys (id, meeting_id, name, role, key_hash)"
    " VALUES ('si', '{meeting}', 'n', 'publish', '\\x02')",
    "INSERT INTO livekit_ingresses VALUES ('si', 'standup', 'stage', '', '', '{meeting}')",
    "INSERT INTO phone_pins VALUES ('{meeting}', '123456789')",
    "INSERT INTO phone_calls (id, meeting_id, direction, number, name, created_by)"
    " VALUES ('pc', '{meeting}', 'out', '{said}', 'n', '{user}')",
    "INSERT INTO broadcast_outputs (id, meeting_id, kind, name) VALUES ('bo', '{meeting}', 'hls', '{said}')",
    "INSERT INTO broadcasts (id, meeting_id, started_by) VALUES ('bc', '{meeting}', '{user}')",
    "INSERT INTO participant_quality (meeting_id, participant_id, at, seconds, final, round_trip_ms, tracks)"
    " VALUES ('{other}', '{there}', now(), 1, false, 1, '[]')",
    "INSERT INTO meeting_minutes (meeting_id, state, lines, text) VALUES ('{meeting}', 'ready', 1, '{said}')",
    "INSERT INTO webrtc_peers (participant_id, purpose, answer, location) VALUES ('{there}', 'play', '', '')",
    "INSERT INTO processing_jobs (id, kind, subject, owner_id) VALUES ('j', 'asr', '{file}', '{user}')",
    'UPDATE room_state SET document = document || \'{{"banned_users": ["{user}"], "removed": ["{there}"]}}\''
    " WHERE meeting_id = '{other}'",
    "INSERT INTO operation_logs (actor, action, target, detail)"
    " VALUES ('{there}', 'consent', '{other}', '{{\"text\": \"{said}\"}}'),"
    " (NULL, 'invite', 'ada@example.org', '{{}}')",
)


async def found(server: Server, dsn: str, names: list[str]) -> list[str]:
    """Return where any of these is still found, as `table: row`, `redis:key`, `mongodb:id` or `file:path`."""
    return [
        *await _in_database(dsn, names),
        *await _in_redis(server, names),
        *await _in_mongodb(server, names),
        *await asyncio.to_thread(_in_files, server, names),
    ]


async def _in_database(dsn: str, names: list[str]) -> list[str]:
    connection = await asyncpg.connect(dsn)
    places = []
    for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        table = row["tablename"]
        for one in await connection.fetch(f'SELECT t::text AS content, to_jsonb(t)::text AS shown FROM "{table}" t'):
            if any(name in one["content"] for name in names):
                places.append(f"{table}: {one['shown']}")
    await connection.close()
    return places


async def _in_redis(server: Server, names: list[str]) -> list[str]:
    client = redis.Redis.from_url(server.config.redis_url or "", decode_responses=True)
    keys = [key async for key in client.scan_iter()]
    await client.aclose()
    return [f"redis:{key}" for key in keys if any(name in key for name in names)]


async def _in_mongodb(server: Server, names: list[str]) -> list[str]:
    services = await open_services(replace(server.config, embedded=False))
    try:
        files = await services.results.files()
        documents: list[AiResult] = [one for file in files for one in await services.results.about(file)]
    finally:
        await services.close()
    return [f"mongodb:{one.id}" for one in documents if any(name in repr(one) for name in names)]


def _in_files(server: Server, names: list[str]) -> list[str]:
    """Names and contents below the directories, the spool of uploads among them."""
    places = []
    roots = {server.config.data_dir, server.config.recordings_dir, server.config.media_dir or server.config.data_dir}
    for root in roots:
        for path in root.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            if any(name in str(path) or name.encode() in content for name in names):
                places.append(f"file:{path}")
    return places
