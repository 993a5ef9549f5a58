"""Rooms of network tests: nobody's meetings, open for half a minute.

A device sends and receives in one to learn what a call would get. Such a room has no row anywhere: its id contains the
time at which it ends, so every control process knows its desired state, and whatever nodes report of it is not stored.
The id is no secret and admits nobody; the join tokens do.
"""

import re
import secrets

from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source

SECONDS = 30
_ROOM = re.compile(r"network-test-(\d{1,12})-[0-9a-f]{16}")

SENDER = Grants(publish=(Source.MICROPHONE, Source.CAMERA), subscribe=False, chat=False, data=False)
RECEIVER = Grants(publish=(), chat=False, data=False)


def new_room(unix_seconds: int) -> str:
    """Return the id of a room that ends `SECONDS` from now."""
    return f"network-test-{unix_seconds + SECONDS}-{secrets.token_hex(8)}"


def is_test(room: str) -> bool:
    return _ROOM.fullmatch(room) is not None


def state_of(room: str, unix_seconds: float) -> DesiredState | None:
    """Return the desired state of a test's room, or None if the id is not of one."""
    found = _ROOM.fullmatch(room)
    if found is None:
        return None
    ended = unix_seconds >= int(found[1])
    return DesiredState(room=room, version=2 if ended else 1, captions=False, ended=ended)
