"""A meeting with one caller of each kind, and objects of theirs to request."""

import asyncio
import io
from dataclasses import dataclass

import asyncpg
from PIL import Image

from control.config import ControlConfig
from control.identifiers import new_id
from objects.directory import DirectoryStore
from tests.control.harness import PASSWORD, Client, People
from tests.control.test_recordings import write_recording

CALLERS = (
    "anonymous",
    "guest",
    "viewer",
    "participant",
    "co-host",
    "host",
    "other-host",
    "removed",
    "ended-guest",
    "banned",
    "admin",
)


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return out.getvalue()


PICTURE = picture()


@dataclass(frozen=True)
class World:
    """A meeting with one caller of each kind."""

    callers: dict[str, Client]
    paths: dict[str, str]


@dataclass
class Stage:
    """Accounts that stay, and a new meeting for each check."""

    people: People
    accounts: dict[str, Client]
    config: ControlConfig
    dsn: str
    sessions: dict[str, str]

    async def meeting(self) -> World:
        accounts = self.accounts
        host = accounts["host"]
        meeting = (await host.ok("POST", "/api/v1/meetings", {"scheduled_start": "2030-01-01T09:00:00Z"}))["id"]
        base = f"/api/v1/meetings/{meeting}"
        joined = {name: await accounts[name].ok("POST", f"{base}/join", {}) for name in ("host", "co-host", "viewer")}
        joined |= {
            name: await accounts[name].ok("POST", f"{base}/join", {})
            for name in ("participant", "removed", "banned-from")
        }
        await host.ok("PUT", f"{base}/participants/{joined['co-host']['participant']}/role", {"role": "co-host"})
        await host.ok("PUT", f"{base}/participants/{joined['viewer']['participant']}/role", {"role": "viewer"})
        guest = await self.people.nobody().ok("POST", f"{base}/join", {"name": "Guest"})
        await self._all_in(meeting)
        await host.ok("POST", f"{base}/participants/{joined['removed']['participant']}/remove", {})
        await host.ok("POST", f"{base}/breakouts", {"rooms": [{"title": "Blue"}]})
        recording = await self._recording(meeting)
        file = await self._file(host, meeting)
        entry = await self._said_and_waiting(meeting, joined["participant"]["participant"])
        victim = await self._victim()
        job = (await host.ok("POST", "/api/v1/ffmpeg/thumbnail", {"file": file}))["id"]
        link = await host.ok("POST", f"/api/v1/recordings/{recording}/links", {})
        of_file = await host.ok("POST", f"/api/v1/media/{file}/links", {})
        of_recording = await host.ok("POST", f"/api/v1/recordings/{recording}/file-links", {"name": "track0.webm"})
        film = await host.ok("POST", f"/api/v1/recordings/{recording}/films", {})
        stream_key = await host.ok("POST", f"{base}/stream-keys", {"name": "Wall", "role": "watch"})
        live = await host.ok("POST", f"{base}/broadcast/outputs", {"kind": "hls", "name": "Web"})
        await self._visit(meeting, joined["participant"]["participant"])
        callers = {name: accounts[name] for name in CALLERS if name in accounts}
        callers["anonymous"] = self.people.nobody()
        callers["guest"] = self.people.bearer(guest["participant_token"])
        return World(
            callers,
            {
                "<meeting>": meeting,
                "<participant>": joined["banned-from"]["participant"],
                "<recording>": recording,
                "<path:name>": "track0.webm",
                "<file>": file,
                "<message>": "message_1",
                "<utterance>": "utterance_1",
                "<entry>": entry,
                "<user>": victim,
                "<session>": self.sessions["banned-from"],
                "<key>": self.sessions["key"],
                "<webhook>": self.sessions["webhook"],
                "<int:delivery>": "1",
                "<int:visit>": "1",
                "<job>": job,
                "<passkey>": self.sessions["passkey"],
                "<link>": link["id"],
                "<media_link>": of_file["id"],
                "<file_link>": of_recording["id"],
                "<film>": film["id"],
                "<stream_key>": stream_key["id"],
                "<invitation>": "00" * 32,
                "<livekit_key>": "APIofNobodyAtAll00",
                "<phone_call>": f"call_{meeting}",
                "<output>": live["outputs"][0]["id"],
                "<watch>": "watch_of_nothing",
                "<piece>": "live.m3u8",
                "<image>": "image_00000.jpg",
                "<token>": link["url"].rpartition("/")[2],
            },
        )

    async def _file(self, owner: Client, meeting: str) -> str:
        url = f"{owner.server.url}/api/v1/media/upload?name=a.png&meeting={meeting}"
        async with owner.session.post(url, data=PICTURE, headers=owner.headers) as answer:
            return str((await answer.json())["id"])

    async def _said_and_waiting(self, meeting: str, participant: str) -> str:
        connection = await asyncpg.connect(self.dsn)
        entry = new_id("lobby")
        try:
            await connection.execute(
                "INSERT INTO signaling_messages (meeting_id, message, participant_id, name, text, sent_at)"
                " VALUES ($1, 'message_1', $2, 'P', 'hello', now())",
                meeting,
                participant,
            )
            await connection.execute(
                "INSERT INTO captions (meeting_id, utterance, participant_id, track, start_ms, end_ms, lang, text,"
                " model, said_at) VALUES ($1, 'utterance_1', $2, 't', 0, 9, 'en', 'hello', 'm', now())",
                meeting,
                participant,
            )
            await connection.execute(
                "INSERT INTO lobby_entries (id, meeting_id, name, ticket_hash) VALUES ($1, $2, 'W', '')", entry, meeting
            )
            await connection.execute(
                "INSERT INTO phone_calls (id, meeting_id, direction, number, name, reported_at)"
                " VALUES ('call_' || $1::text, $1, 'in', '1', 'P', now() + interval '1 day')",
                meeting,
            )
        finally:
            await connection.close()
        return entry

    async def _all_in(self, meeting: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(
            "UPDATE meeting_participants SET present = true, joined_at = now() WHERE meeting_id = $1", meeting
        )
        await connection.execute(
            "INSERT INTO meeting_rooms (meeting_id, node, boot, opened_at) VALUES ($1, 'n', 'b', now())", meeting
        )
        await connection.close()

    async def _visit(self, meeting: str, participant: str) -> None:
        """Insert a visit, which gets the number 1 in the first meeting."""
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(
            "INSERT INTO signaling_sessions (meeting_id, participant_id, node, joined_at, left_at)"
            " VALUES ($1, $2, 'n', now(), now())",
            meeting,
            participant,
        )
        await connection.close()

    async def _victim(self) -> str:
        """Insert an account with a picture, for administration."""
        connection = await asyncpg.connect(self.dsn)
        try:
            identifier, avatar = new_id("user"), new_id("avatar")
            await connection.execute(
                "INSERT INTO users (id, username, username_key, display_name, password_hash, avatar)"
                " VALUES ($1, $1, $1, 'V', 'x', $2)",
                identifier,
                avatar,
            )
        finally:
            await connection.close()
        assert self.config.data_dir
        DirectoryStore(self.config.data_dir / "media").put(f"{avatar[-2:]}/{avatar}", PICTURE)
        return identifier

    async def _recording(self, meeting: str) -> str:
        recording = f"recording_{meeting.replace('-', '')}"
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(
                "INSERT INTO meeting_recordings (id, meeting_id, state, started_at, duration_ms)"
                " VALUES ($1, $2, 'ready', now(), 9)",
                recording,
                meeting,
            )
        finally:
            await connection.close()
        await asyncio.to_thread(write_recording, self.config.recordings_dir, recording)
        return recording


async def set_stage(people: People, config: ControlConfig, dsn: str) -> Stage:
    token = (config.data_dir / "first-admin-link").read_text().strip().partition("token=")[2]
    body = {"token": token, "username": "root", "password": PASSWORD, "mode": "token"}
    admin = people.bearer((await people.nobody().ok("POST", "/api/v1/setup", body))["access_token"])
    names = ("host", "co-host", "viewer", "participant", "other-host", "removed", "banned", "banned-from")
    accounts = {name: await people.user(name) for name in names}
    accounts["admin"] = admin
    over = (await accounts["host"].ok("POST", "/api/v1/meetings", {}))["id"]
    left = await people.nobody().ok("POST", f"/api/v1/meetings/{over}/join", {"name": "Left"})
    await accounts["host"].ok("POST", f"/api/v1/meetings/{over}/end")
    accounts["ended-guest"] = people.bearer(left["participant_token"])
    await accounts["other-host"].ok("POST", "/api/v1/meetings", {})
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE users SET state = 'banned' WHERE username = 'banned'")
    await connection.close()
    sessions = (await accounts["banned-from"].ok("GET", "/api/v1/users/sessions"))["sessions"]
    key = await accounts["banned-from"].ok("POST", "/api/v1/users/api-keys", {"name": "k", "scopes": ["meetings:read"]})
    hook = await accounts["banned-from"].ok("POST", "/api/v1/webhooks", {"url": "https://example.org/hook"})
    passkey = new_id("passkey")
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name)"
        " VALUES ($1, $2, '', '', 0, 'k')",
        passkey,
        accounts["banned-from"].user["id"],
    )
    await connection.close()
    owned = {"banned-from": sessions[0]["id"], "key": key["id"], "webhook": hook["id"], "passkey": passkey}
    return Stage(people, accounts, config, dsn, owned)


def fill(rule: str, paths: dict[str, str]) -> str:
    for name, value in paths.items():
        rule = rule.replace(name, value)
    return rule
