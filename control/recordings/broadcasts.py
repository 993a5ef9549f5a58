"""Start and stop of broadcasts, and the orders to recorders."""

import time
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from control.database import Connection
from control.events.outgoing import is_forbidden
from control.identifiers import new_id
from control.meetings.ending import ended
from control.problem import Problem, not_found
from control.services import Services
from control.store import audit, broadcasts, egresses, meetings, outbox, rooms
from control.store.broadcasts import BroadcastRow, OutputRow
from foundation.broadcasts import (
    IMAGES_PREFIX,
    BroadcastOrders,
    BroadcastReport,
    OutputOrder,
    OutputState,
    OutputView,
)
from foundation.film_options import FilmOptions, from_job, to_job
from foundation.srt_addresses import srt_target
from sfu.api.desired_state import DesiredBroadcast, DesiredState

AUTOMATIC = "automatic"
_RTMP = frozenset({"rtmp", "rtmps"})


class Wish(NamedTuple):
    """The author of a request to broadcast a meeting: the acting account, its address."""

    meeting: str
    actor: str
    address: str


def check_target(url: str, *, private: bool) -> None:
    """Raise Problem 400 unless the URL is an RTMP address that the server may connect to."""
    parts, host, port = _parts(url)
    if parts.scheme not in _RTMP or not host or not parts.path.strip("/") or port == 0:
        raise Problem(400, "invalid_url", "The address must have the form rtmps://host/application.")
    _check_host(url, parts, host, private=private)


def split_srt(url: str, stream_id: str | None, *, private: bool) -> tuple[str, str]:
    """Return an SRT address without its secrets, and these as a key. Raises Problem 400.

    The address has the form srt://host:port?streamid=…&passphrase=…&latency=…; `stream_id` overrides that in it.
    """
    parts, host, _ = _parts(url)
    try:
        target = srt_target(url, stream_id)
    except ValueError as error:
        raise Problem(400, "invalid_url", str(error)) from error
    _check_host(url, parts, host, private=private)
    return target.url(), target.secrets.key()


def _parts(url: str) -> tuple[SplitResult, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.hostname or "", parts.port
    except ValueError as error:
        raise Problem(400, "invalid_url", "This is not a URL.") from error


def _check_host(url: str, parts: SplitResult, host: str, *, private: bool) -> None:
    if parts.username is not None or any(letter.isspace() or ord(letter) < 32 for letter in url):
        raise Problem(400, "invalid_url", "The server cannot connect to this URL.")
    if not private and is_forbidden(host):
        raise Problem(400, "forbidden_address", "This address is not on the public internet.")


async def start(services: Services, wish: Wish, options: FilmOptions) -> BroadcastRow:
    """Start the broadcast of a meeting; raises Problem with the reason if it cannot start."""
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, wish.meeting)
        row, state = await start_in_transaction(connection, wish, options)
    services.nodes.push(state)
    return row


async def start_in_transaction(
    connection: Connection, wish: Wish, options: FilmOptions
) -> tuple[BroadcastRow, DesiredState]:
    """Start the broadcast of a locked meeting; return the state to push."""
    if not await broadcasts.outputs(connection, wish.meeting):
        raise Problem(409, "no_outputs", "Add an output first.")
    desired = DesiredBroadcast(broadcast=new_id("broadcast"), started_at=time.time_ns() // 1_000_000)
    state = await rooms.edit_state(connection, wish.meeting, lambda before: _with(before, desired))
    if state is None:
        raise not_found("This meeting does not exist.")
    row = await broadcasts.start(connection, desired.broadcast, wish.meeting, wish.actor, to_job(options))
    await _note(connection, "broadcast.started", row, by=wish.actor)
    await audit.write(connection, wish.actor, "start_broadcast", row.id, wish.address, meeting=wish.meeting)
    return row, state


def _with(before: DesiredState, desired: DesiredBroadcast) -> DesiredState:
    if before.ended:
        raise ended()
    if before.e2ee:
        raise Problem(409, "e2ee", "The server cannot broadcast an end-to-end encrypted meeting.")
    if before.broadcast is not None:
        raise Problem(409, "already_live", "This meeting is already live.")
    return msgspec.structs.replace(before, broadcast=desired)


async def stop(services: Services, wish: Wish) -> None:
    """Stop the running broadcast; raises Problem 409 if there is none."""
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, wish.meeting)
        row, state = await stop_in_transaction(connection, wish.meeting)
        if row is None:
            raise Problem(409, "not_live", "This meeting is not live.")
        await audit.write(connection, wish.actor, "stop_broadcast", row.id, wish.address, meeting=wish.meeting)
    services.nodes.push(state)


async def stop_in_transaction(connection: Connection, meeting: str) -> tuple[BroadcastRow | None, DesiredState | None]:
    """End the running broadcast of a locked meeting, if there is one; return it, and the state to push."""
    row = await broadcasts.end(connection, meeting)
    state = await rooms.edit_state(connection, meeting, lambda before: msgspec.structs.replace(before, broadcast=None))
    if row is not None:
        await egresses.broadcast_over(connection, row.id)
        await _note(connection, "broadcast.stopped", row)
    return row, state


async def stop_abandoned(services: Services, meeting: str) -> None:
    """End the broadcast of a meeting that everyone has left."""
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        _, state = await stop_in_transaction(connection, meeting)
    services.nodes.push(state)


async def stop_unused(services: Services, meeting: str, broadcast: str) -> None:
    """End a broadcast that an egress started, if all of its egresses are over."""
    state = None
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        row = await broadcasts.running(connection, meeting)
        if row is not None and row.id == broadcast and await egresses.is_unused(connection, broadcast):
            _, state = await stop_in_transaction(connection, meeting)
    services.nodes.push(state)


async def take_report(services: Services, broadcast: str, report: BroadcastReport) -> BroadcastOrders:
    """Store a recorder's report, and return its orders."""
    async with services.pool.acquire() as connection, connection.transaction():
        before = await broadcasts.by_id(connection, broadcast)
        if before is None or not await broadcasts.note(connection, broadcast, report):
            return BroadcastOrders(held=False)
        await _tell_changes(connection, before, report)
        has_failed = await egresses.note_report(connection, broadcast, report)
        rows = await broadcasts.used(connection, before)
    if has_failed:
        await stop_unused(services, before.meeting_id, broadcast)
    return BroadcastOrders(held=True, film=from_job(before.options), outputs=[_order(services, row) for row in rows])


async def _tell_changes(connection: Connection, before: BroadcastRow, report: BroadcastReport) -> None:
    """Write events for outputs that lost or regained their target."""
    earlier = reported(before)
    for output, state in report.outputs.items():
        was = earlier.outputs.get(output) if earlier is not None else None
        if state.phase == "retrying" and (was is None or (was.phase != "retrying" and was.attempts < state.attempts)):
            await _note(connection, "broadcast.interrupted", before, output=output, reason=state.error)
        elif state.phase == "live" and was is not None and was.attempts and was.phase != "live":
            await _note(connection, "broadcast.resumed", before, output=output)


def reported(row: BroadcastRow) -> BroadcastReport | None:
    """Return the latest report about a broadcast; None before the first."""
    return None if row.report is None else msgspec.convert(row.report, BroadcastReport)


def state_of(report: BroadcastReport | None, output: str) -> OutputState | None:
    """Return an output's status, None if it is unknown."""
    return None if report is None else report.outputs.get(output)


def _order(services: Services, row: OutputRow) -> OutputOrder:
    key = services.broadcast_seal.open(row.id, row.stream_key) if row.stream_key else ""
    private = services.config.allow_private_broadcasts
    return OutputOrder(
        id=row.id,
        kind=row.kind,
        url=row.url,
        key=key,
        private=private,
        view=OutputView() if row.shows is None else msgspec.convert(row.shows, OutputView),
        folder=images_folder(row.meeting_id, row.id) if row.kind == "images" else "",
        begun=int(row.created_at.timestamp() * 1000),
    )


def images_folder(meeting: str, output: str = "") -> str:
    """Return the prefix of an output's images in the store of recordings, or of all images of a meeting."""
    return f"{IMAGES_PREFIX}{meeting}/" + (f"{output}/" if output else "")


def images_path(meeting: str, output: str) -> str:
    """Return the path of an output's images in the REST API."""
    return f"/api/v1/meetings/{meeting}/broadcast/images/{output}"


async def _note(connection: Connection, kind: str, row: BroadcastRow, **about: Any) -> None:
    payload = {"meeting": row.meeting_id, "broadcast": row.id, **about}
    await outbox.append(connection, outbox.MEDIA_EVENTS, row.meeting_id, kind, payload)
