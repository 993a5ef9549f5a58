"""Conformance of servers to LiveKit's client: runs its JavaScript SDK in browsers against LiveKit's server and Parley.

    python -m bench.livekit_conformance --livekit-server PATH --table FILE

Both servers and the browsers run in namespaces. Two people meet in a room that an application controls through the
server API, and then in an encrypted room; then the server's node is killed and restarted, and they are moved to another
room. Each check is a script in one of their pages (livekit_checks); events are recorded. The members and events of the
SDK are read from its declarations, and those that no check covers are listed with the reason. The result is a page of
the documentation (livekit_table).
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import api
from playwright.async_api import Error

from bench.livekit_checks import APPLICATION, CHECKS, FIRST
from bench.livekit_table import Outcome, declared, table
from parley_client import Api
from tests.support import livekit_page
from tests.support.bidi import BidiError
from tests.support.call import PASSWORD, become_admin
from tests.support.livekit_page import Tab
from tests.support.namespaces import Host, network
from tests.support.server import running_server

_SECONDS = 60.0
_KEY, _SECRET = "devkey", "a secret that is long enough for every hash"


@dataclass(frozen=True)
class Server:
    """A running server: its address in the browsers' namespace and here; `kill` kills the node of a room.

    Parley has another node for the room; LiveKit's server, which is alone, is restarted.
    """

    url: str
    here: str
    kill: Callable[[str], Awaitable[None]]


@contextlib.contextmanager
def _parley(host: Host, prefix: list[str], here: str) -> Iterator[Server]:
    keys = f"{_KEY}: {_SECRET}"
    settings = {"livekit_keys": keys, "inference": "false", "http_host": "0.0.0.0", "workers": "2"}
    with running_server(prefix, sfu_addresses=host.server_address, **settings) as server:

        async def set_up() -> None:
            async with Api(f"http://{here}:{server.http_port}") as client:
                await become_admin(client, server.setup_token)

        asyncio.run(set_up())
        port = server.http_port

        async def kill(room: str) -> None:
            async with (
                api.LiveKitAPI(f"http://{here}:{port}", _KEY, _SECRET) as application,
                Api(f"http://{here}:{port}") as admin,
            ):
                await admin.login("admin", PASSWORD)
                (found,) = (await application.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms
                live = await admin.request("GET", f"/meetings/{found.sid.removeprefix('RM_')}/room")
            os.kill(server.part_pid(f"sfu-{live['node'][-1]}"), signal.SIGKILL)

        yield Server(f"ws://{host.server_address}:{port}", f"http://{here}:{port}", kill)


@contextlib.contextmanager
def _livekit(binary: Path, host: Host, prefix: list[str], here: str) -> Iterator[Server]:
    configuration = {
        "port": 7880,
        "rtc": {"udp_port": 7882, "tcp_port": 0, "node_ip": host.server_address, "use_external_ip": False},
        "keys": {_KEY: _SECRET},
        "logging": {"level": "error"},
    }
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "livekit.json"
        file.write_text(json.dumps(configuration))
        running: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            command = [*prefix, str(binary), "--config", str(file)]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        async def kill(_: str) -> None:
            running[-1].kill()
            running[-1].wait()
            start()

        start()
        try:
            yield Server(f"ws://{host.server_address}:7880", f"http://{here}:7880", kill)
        finally:
            running[-1].kill()
            running[-1].wait()


async def _try(outcome: Outcome, about: str, *scripts: tuple[Tab, str]) -> None:
    try:
        for tab, script in scripts:
            await asyncio.wait_for(tab.run(script), _SECONDS)
        outcome.done.add(about)
    except (Error, BidiError, TimeoutError) as error:
        outcome.failures[about] = (str(error) or "timed out").splitlines()[0][:160]


def _token(who: str, room: str) -> str:
    may = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    return api.AccessToken(_KEY, _SECRET).with_identity(who).with_name(who).with_grants(may).to_jwt()


def _join(server: Server, who: str, room: str, password: str = "") -> str:
    arguments = ", ".join(json.dumps(value) for value in (server.url, _token(who, room), password))
    return f"join({arguments})"


async def run(server: Server, browser: str, host: Host, package: Path) -> Outcome:
    """Run every check against a server in a browser."""
    room, outcome = f"conformance-{time.time_ns()}", Outcome()
    async with (
        livekit_page.site(host, package) as page,
        livekit_page.tabs(browser, host, page, ("ann", "bob")) as tabs,
        api.LiveKitAPI(server.here, _KEY, _SECRET) as application,
    ):
        for who, tab in tabs.items():
            await tab.run(f"window.at = {json.dumps(server.url)}")
            await _try(outcome, f"connect {who}", (tab, _join(server, who, room)))
        await tabs["ann"].run(FIRST)
        for check in CHECKS:
            other = tabs["bob" if check.who == "ann" else "ann"]
            then = ((other, check.then),) if check.then else ()
            await _try(outcome, check.about, (tabs[check.who], check.script), *then)
        await _govern(outcome, application, room, tabs)
        await _seal(outcome, server, f"{room}-sealed", tabs)
        await _kill(outcome, server, f"{room}-killed", tabs)
        await _move(outcome, server, f"{room}-killed", tabs)
        await _try(outcome, "leave", (tabs["ann"], "room.disconnect()"))
        for tab in tabs.values():
            outcome.events |= set(await tab.run("Object.keys(seen)"))
    return outcome


async def _seal(outcome: Outcome, server: Server, room: str, tabs: dict[str, Tab]) -> None:
    """Meet in an encrypted room, with the same key and then with different keys."""
    ann, bob = tabs["ann"], tabs["bob"]
    await _try(
        outcome,
        "end-to-end encryption",
        (ann, "room.disconnect()"),
        (ann, _join(server, "ann", room, "one key")),
        (bob, _join(server, "bob", room, "one key")),
        (ann, "me().enableCameraAndMicrophone()"),
        (bob, "until(shows).then(() => until(() => other().isEncrypted))"),
    )
    await _try(
        outcome,
        "no picture with a wrong key",
        (bob, "room.disconnect()"),
        (bob, _join(server, "bob", room, "another key")),
        (bob, "until(() => of('Camera')?.track).then(() => new Promise(r => setTimeout(r, 3000))).then(shows)"
         ".then(any => { if (any) throw 'something is shown'; })"),
    )  # fmt: skip


async def _kill(outcome: Outcome, server: Server, room: str, tabs: dict[str, Tab]) -> None:
    """Kill the node of a call; the SDKs must reconnect to its replacement."""
    back = "until(() => room.state === 'connected' && other(), 50000)"
    for who, tab in tabs.items():
        await _try(outcome, "", (tab, "room.disconnect()"), (tab, _join(server, who, room)))
    await _try(outcome, "", (tabs["ann"], "me().setCameraEnabled(true)"), (tabs["bob"], "until(() => plays('Camera'))"))
    outcome.done.discard("")
    await server.kill(room)
    await _try(
        outcome,
        "reconnect after the node was killed",
        (tabs["bob"], "until(() => room.state !== 'connected', 40000)"),
        (tabs["ann"], back),
        (tabs["bob"], back),
        (tabs["bob"], "until(() => plays('Camera'), 40000)"),
    )


async def _move(outcome: Outcome, server: Server, room: str, tabs: dict[str, Tab]) -> None:
    """Let an application move people to another room."""
    about, other = "be moved to another room", f"{room}-moved"
    may = api.VideoGrants(room_admin=True, room_create=True, room=room, destination_room=other)
    token = api.AccessToken(_KEY, _SECRET).with_grants(may).to_jwt()
    try:
        async with api.LiveKitAPI(server.here, token=token) as mover:
            await mover.room.create_room(api.CreateRoomRequest(name=other))
            for who in tabs:
                asked = api.MoveParticipantRequest(room=room, identity=who, destination_room=other)
                await mover.room.move_participant(asked)
    except api.TwirpError as error:
        outcome.failures[about] = error.message
        return
    there = f"until(() => room.name === {json.dumps(other)} && room.state === 'connected' && other(), 20000)"
    await _try(
        outcome,
        about,
        (tabs["ann"], there),
        (tabs["bob"], there),
        (tabs["bob"], "until(() => plays('Camera'), 20000)"),
    )


async def _govern(outcome: Outcome, server: api.LiveKitAPI, room: str, pages: dict[str, Tab]) -> None:
    """Let an application change the room; what its server refuses has failed, and what would follow."""
    about = iter(APPLICATION.items())

    async def check(page: Tab) -> None:
        name, script = next(about)
        await _try(outcome, name, (page, script))

    try:
        await _changes(check, server.room, room, pages)
    except api.TwirpError as error:
        outcome.failures |= {name: error.message for name, _ in about}


async def _changes(
    check: Callable[[Tab], Awaitable[None]], rooms: api.room_service.RoomService, room: str, pages: dict[str, Tab]
) -> None:
    """Change the room, and check after each change that a page has seen it."""
    await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="agenda"))
    await check(pages["ann"])
    await rooms.send_data(api.SendDataRequest(room=room, data=b"app"))
    await check(pages["ann"])
    await rooms.update_participant(
        api.UpdateParticipantRequest(
            room=room, identity="bob", permission=api.ParticipantPermission(can_subscribe=True, can_publish_data=True)
        )
    )
    await check(pages["bob"])
    ann = await rooms.get_participant(api.RoomParticipantIdentity(room=room, identity="ann"))
    for track in ann.tracks:
        await rooms.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity="ann", track_sid=track.sid, muted=True)
        )
    await check(pages["bob"])
    await rooms.remove_participant(api.RoomParticipantIdentity(room=room, identity="bob"))
    await check(pages["bob"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--package", type=Path, default=livekit_page.PACKAGE, help="the SDK")
    parser.add_argument("--livekit-server", type=Path, help="without it, only Parley is tested")
    parser.add_argument("--browsers", default="chromium,firefox")
    parser.add_argument("--table", type=Path)
    given: Any = parser.parse_args()
    version = json.loads((given.package / "package.json").read_text())["version"]
    outcomes = {}
    with network(1) as net:
        host = net.hosts[0]
        at = (host, net.server_prefix, net.server_address)
        for browser in given.browsers.split(","):
            servers = {"LiveKit": _livekit(given.livekit_server, *at)} if given.livekit_server else {}
            servers["Parley"] = _parley(*at)
            for name, server in servers.items():
                with server as running:
                    outcome = asyncio.run(run(running, browser, host, given.package))
                outcomes[f"{name}, {browser.title()}"] = outcome
                for about, failure in outcome.failures.items():
                    print(f"{name}, {browser}: {about}: {failure}", file=sys.stderr, flush=True)
    page = table(outcomes, version, *declared(given.package))
    if given.table is not None:
        given.table.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
