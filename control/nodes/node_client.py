"""Client of the sfu nodes' private HTTP API, which delivers desired states.

A failed PUT is retried for a few seconds; after that, the node catches up by its own pull, every 5 s. Only the latest
version of each room is sent.
"""

import asyncio
import contextlib
import logging
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec
from prometheus_client import Counter

from control.config import ControlConfig
from control.database import UNAVAILABLE, Pool
from control.nodes.node_outages import NodeOutages
from control.problem import Problem, not_found
from control.registry.membership import Registry
from control.store import placements
from foundation import tracing
from foundation.background import cancel_all
from foundation.failures import describe
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement
from sfu.api.registration import DrainWish, NodeRecord, RoomLoad, RoomLoads, decode_record
from sfu.api.room_acts import Act, CallMethod, Done, MethodAnswer, RoomView
from sfu.api.signaling import Chat, encode

_log = logging.getLogger(__name__)
_PUSHES = Counter("parley_control_desired_state_pushes_total", "Desired states sent to nodes", ["outcome"])
_RETRY_SECONDS = (0.1, 0.3, 1.0, 2.0)
_TIMEOUT = aiohttp.ClientTimeout(total=3)
_AGAIN_SECONDS = 0.5
T = TypeVar("T")


class _LiveRoom(msgspec.Struct, frozen=True):
    room: str


class _LiveRooms(msgspec.Struct, frozen=True):
    rooms: list[_LiveRoom]


class _Refusal(msgspec.Struct, frozen=True):
    code: str = "refused"
    detail: str = "The media server refused the request."


class RoomRate(NamedTuple):
    """The media that a room's nodes receive and send, in kbit/s."""

    kbps_in: int = 0
    kbps_out: int = 0


def _no_answer() -> Problem:
    return Problem(503, "node_unreachable", "The media server of this meeting does not answer.")


class NodeClient:
    """Client of the registry's nodes. It finds the node of a meeting."""

    def __init__(self, config: ControlConfig, pool: Pool, http: aiohttp.ClientSession, registry: Registry) -> None:
        self._registry = registry
        self._headers = {"Authorization": f"Bearer {config.node_secret}"}
        self._pool = pool
        self._http = http
        self._latest: dict[str, DesiredState] = {}
        self._pushing: dict[str, asyncio.Task[None]] = {}
        self._outages = NodeOutages("does not take the state of its rooms")
        self.unreachable: set[str] = set()
        """Nodes that did not answer the last request for their rooms."""

    def node(self, name: str) -> NodeRecord | None:
        return self._registry.known().get(name)

    def names(self) -> list[str]:
        return list(self._registry.known())

    async def placement(self, meeting: str) -> Placement | None:
        """Return the placement of a meeting; None if it was never placed."""
        async with self._pool.acquire() as connection:
            return await placements.of(connection, meeting)

    async def of_meeting(self, meeting: str) -> NodeRecord | None:
        """Return the node of a meeting, or None if it has none or the node is no longer known."""
        placement = await self.placement(meeting)
        return None if placement is None else self.node(placement.node)

    async def trouble(self) -> str | None:
        """Return a fault of the nodes, or None: none is alive, or some do not answer, and still do not."""
        if not self._registry.living():
            return "none"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_SECONDS):
                await asyncio.gather(*(self.live_rooms(name) for name in self.unreachable & set(self.names())))
        silent = sorted(self.unreachable)
        return f"do not answer: {', '.join(silent)}" if silent else None

    def push(self, *states: DesiredState | None) -> set[asyncio.Task[None]]:
        """Send committed states to all nodes of their rooms. The tasks end when all nodes have accepted them or failed.

        `placement` names the nodes of a meeting whose rows are deleted; otherwise they are read from the room's row.
        """
        pushing = set()
        for state in states:
            if state is None:  # the meeting was deleted
                continue
            waiting = self._latest.get(state.room)
            if waiting is None or waiting.version <= state.version:
                self._latest[state.room] = state
            if state.room not in self._pushing:
                self._pushing[state.room] = asyncio.create_task(self._push(state.room))
            pushing.add(self._pushing[state.room])
        return pushing

    async def drain(self, name: str, wish: DrainWish) -> NodeRecord:
        """Drain a node, or allow it to take rooms again; raises Problem if it is unknown or does not answer."""
        node = self.node(name)
        if node is None:
            raise not_found("There is no such node.")
        url = f"{node.http_url}/node/v1/drain"
        try:
            async with self._http.put(
                url, data=msgspec.json.encode(wish), headers=self._headers, timeout=_TIMEOUT
            ) as answer:
                return decode_record(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Problem(502, "node_unreachable", f"{name} does not answer.") from error

    async def chat(self, node: NodeRecord, room: str, said: Chat) -> None:
        """Deliver a chat message to a live room; raises aiohttp.ClientError or TimeoutError."""
        url = f"{node.http_url}/node/v1/rooms/{room}/chat"
        async with self._http.post(url, data=encode(said), headers=self._headers, timeout=_TIMEOUT) as answer:
            await answer.read()

    async def view(self, room: str) -> RoomView | None:
        """Return a room as its home node sees it, or None if it is not live; raises Problem 503 without an answer."""
        node = await self.of_meeting(room)
        if node is None:
            return None
        url = f"{node.http_url}/node/v1/rooms/{room}"
        try:
            async with self._http.get(url, headers=self._headers, timeout=_TIMEOUT) as answer:
                if answer.status == 404:
                    return None
                return msgspec.json.decode(await answer.read(), type=RoomView)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise _no_answer() from error

    async def act(self, room: str, act: Act) -> bool:
        """Send an action to every node of a room; return whether one of them found its object. Raises Problem."""
        answers = await self._ask_all(room, "acts", act, Done, _TIMEOUT)
        return any(answer.found for answer in answers)

    async def call(self, room: str, asked: CallMethod) -> MethodAnswer | None:
        """Call a participant's method; return None if it is on no node. Raises Problem."""
        patience = aiohttp.ClientTimeout(total=asked.timeout_ms / 1000 + 3)
        return next(iter(await self._ask_all(room, "calls", asked, MethodAnswer, patience)), None)

    async def _ask_all(
        self, room: str, what: str, asked: object, kind: type[T], patience: aiohttp.ClientTimeout
    ) -> list[T]:
        """Send a request to every node of a room; return the answers of those that it concerns. Raises Problem."""
        placement = await self.placement(room)
        names = () if placement is None else (placement.node, *placement.secondaries)
        nodes = [node for node in map(self.node, names) if node is not None]
        urls = [f"{node.http_url}/node/v1/rooms/{room}/{what}" for node in nodes]
        answers = await asyncio.gather(*(self._ask(url, asked, kind, patience) for url in urls))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, url: str, asked: object, kind: type[T], patience: aiohttp.ClientTimeout) -> T | None:
        """Post to a node; return its answer, None if it knows nothing of it. Raises Problem."""
        try:
            async with self._http.post(
                url, data=msgspec.json.encode(asked), headers=self._headers, timeout=patience
            ) as answer:
                data = await answer.read()
                if answer.status == 404:
                    return None
                if answer.status >= 400:
                    refusal = msgspec.json.decode(data, type=_Refusal)
                    raise Problem(answer.status, refusal.code, refusal.detail)
                return msgspec.json.decode(data, type=kind)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise _no_answer() from error

    async def tell_secondary(self, room: str, secondary: NodeRecord, home: NodeRecord) -> bool:
        """Tell a secondary node which node is the room's home; return whether it answered."""
        url = f"{secondary.http_url}/node/v1/rooms/{room}/spill"
        body = {"node": home.node, "url": home.http_url}
        try:
            async with self._http.put(url, json=body, headers=self._headers, timeout=_TIMEOUT) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("cannot inform node %s of room %s: %s", secondary.node, room, describe(error))
            return False

    async def live_rooms(self, name: str) -> set[str] | None:
        """Return the live rooms of a node, or None if it does not answer, which `unreachable` keeps."""
        live = await self._live_rooms(name)
        if live is None:
            self.unreachable.add(name)
        else:
            self.unreachable.discard(name)
        return live

    async def _live_rooms(self, name: str) -> set[str] | None:
        node = self.node(name)
        if node is None:
            return None
        try:
            async with self._http.get(
                f"{node.http_url}/node/v1/rooms", headers=self._headers, timeout=_TIMEOUT
            ) as answer:
                if answer.status != 200:
                    return None
                listed = msgspec.json.decode(await answer.read(), type=_LiveRooms)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            return None
        return {one.room for one in listed.rooms}

    async def room_loads(self, node: NodeRecord) -> list[RoomLoad]:
        """Return the CPU cost of each live room of a node; nothing if it does not answer."""
        url = f"{node.http_url}/node/v1/load"
        try:
            async with self._http.get(url, headers=self._headers, timeout=_TIMEOUT) as answer:
                return msgspec.json.decode(await answer.read(), type=RoomLoads).rooms
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            _log.warning("node %s does not report the cost of its rooms: %s", node.node, describe(error))
            return []

    async def room_rates(self) -> dict[str, RoomRate]:
        """Return the rates of the live rooms, added up over the nodes that answer."""
        rates: dict[str, RoomRate] = {}
        for loads in await asyncio.gather(*(self.room_loads(node) for node in self._registry.living().values())):
            for load in loads:
                known = rates.get(load.room, RoomRate())
                rates[load.room] = RoomRate(known.kbps_in + load.kbps_in, known.kbps_out + load.kbps_out)
        return rates

    async def give_up(self, node: NodeRecord, state: DesiredState) -> None:
        """Tell a node that its room has moved to another node, by sending it the new state."""
        placement = state.placement or await self.placement(state.room)
        self._outages.note(node.node, await self._put(node, msgspec.structs.replace(state, placement=placement)))

    async def close(self) -> None:
        await cancel_all(self._pushing.values())

    async def _push(self, room: str) -> None:
        try:
            while (state := self._latest.pop(room, None)) is not None:
                placement = state.placement or await self.placement(room)
                if placement is not None:
                    await self._put_to_all(placement, msgspec.structs.replace(state, placement=placement))
        except UNAVAILABLE as error:
            _log.warning("cannot look up the node of room %s: the database is unreachable: %s", room, describe(error))
        finally:
            del self._pushing[room]

    async def _put_to_all(self, placement: Placement, state: DesiredState) -> None:
        found = (self.node(name) for name in (placement.node, *placement.secondaries))
        await asyncio.gather(*(self._put_until_taken(node, state) for node in found if node is not None))

    async def _put_until_taken(self, node: NodeRecord, state: DesiredState) -> None:
        """Repeat the PUT for a few seconds. Only the last failure is logged: a node that stops ends its rooms first."""
        for pause in (*_RETRY_SECONDS, None):
            failure = await self._put(node, state)
            if failure is None or pause is None:
                self._outages.note(node.node, failure)
            if failure is None or pause is None or state.room in self._latest:
                return
            await asyncio.sleep(pause)

    async def _put(self, node: NodeRecord, state: DesiredState) -> str | None:
        """Return why the node has not taken a state, None if it has."""
        url = f"{node.http_url}/node/v1/rooms/{state.room}/desired"
        body = msgspec.json.encode(state)
        failure = None
        try:
            with tracing.step("node.desired_state", {"meeting": state.room, "parley.node": node.node}):
                async with self._http.put(url, data=body, headers=self._headers, timeout=_TIMEOUT) as answer:
                    # 404: the room is not live there. The node pulls its state when it opens.
                    if answer.status >= 300 and answer.status != 404:
                        failure = f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = describe(error)
        _PUSHES.labels("taken" if failure is None else "failed").inc()
        return failure
