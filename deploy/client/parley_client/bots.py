"""Entering a meeting as a program: with an API key, under an identity of its own."""

from typing import Any

from parley_client.api import Api
from parley_client.room import Room


async def enter(api: Api, meeting: str, identity: str, name: str, *, role: str = "participant", **options: Any) -> Room:
    """Return a room for `async with`; `options` are those of Room. The key needs the scope admissions:write.

    The same identity is the same participant each time, so a restarted program replaces itself.
    """
    admission = await api.admit(meeting, identity, name, role=role)
    joined = await api.join_admitted(meeting, admission, name)
    return Room(api.signaling_url(joined), token=joined.token, **options)
