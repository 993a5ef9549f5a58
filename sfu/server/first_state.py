"""The first desired state of a room: nobody is admitted before it is known.

For a room that opens here, for the first time or after the loss of another node, control is asked before the first
participant is admitted, once for all who wait. A room with a desired state admits people at once.
"""

import asyncio
from collections import Counter

from foundation.background import cancel_all
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import JoinClaims
from sfu.api.refusal import Code, Refused
from sfu.rooms.node import Node
from sfu.server.control_client import ControlClient, ControlUnavailable, MeetingUnknown

WAIT_SECONDS = 3.0


class FirstState:
    """Pulls the desired states of rooms that are about to open; `first_state_awaited` counts participants who wait."""

    def __init__(self, node: Node, control: ControlClient) -> None:
        self._node = node
        self._control = control
        self._pulls: dict[str, asyncio.Task[DesiredState]] = {}
        self._waiting: Counter[str] = Counter()
        self._offered: dict[str, DesiredState] = {}

    async def of(self, claims: JoinClaims) -> DesiredState | None:
        """Return the desired state for the room of a token, None if it has one already.

        Raises Refused: `not_ready` if control does not answer in time, `ended` if there is no such meeting.
        """
        room = self._node.rooms.get(claims.room)
        if room is not None and room.desired is not None and (not room.epoch or claims.epoch <= room.epoch):
            return None
        self._node.context.counters["first_state_awaited"] += 1
        pull = self._pulls.get(claims.room)
        if pull is None:
            pull = self._pulls[claims.room] = asyncio.create_task(self._pull(claims.room))
        self._waiting[claims.room] += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                pulled = await asyncio.shield(pull)
            offered = self._offered.get(claims.room)
            return pulled if offered is None or offered.version <= pulled.version else offered
        except (TimeoutError, ControlUnavailable) as error:
            raise Refused(Code.NOT_READY, "The meeting is not ready here yet; try again.", fatal=True) from error
        except MeetingUnknown as error:
            raise Refused(Code.ENDED, "The meeting has ended.", fatal=True) from error
        finally:
            self._waiting[claims.room] -= 1
            if self._waiting[claims.room] == 0:
                del self._waiting[claims.room]
                self._offered.pop(claims.room, None)

    def offer(self, desired: DesiredState) -> bool:
        """Take a state that control sends meanwhile, which may be newer than its answer; return True if anybody waits
        for it.
        """
        if desired.room not in self._waiting:
            return False
        known = self._offered.get(desired.room)
        if known is None or known.version < desired.version:
            self._offered[desired.room] = desired
        return True

    async def stop(self) -> None:
        """Cancel pending requests."""
        await cancel_all(self._pulls.values())

    async def _pull(self, room: str) -> DesiredState:
        try:
            desired = await self._control.desired(room)
            if desired.room != room:
                raise ControlUnavailable(f"the state of {desired.room} was sent for {room}")
            return desired
        finally:
            del self._pulls[room]
