"""Breakout rooms through the whole server, with the client library: redirected, moved by joining, and back."""

from parley_client import Api, Room
from tests.support.call import become_admin
from tests.support.server import running_server


async def over(room: Room) -> str:
    """Wait until the room puts us out; the code that says why."""
    await room.over()
    return room.state.errors[-1].code


async def test_a_guest_is_taken_to_a_breakout_room_and_back() -> None:
    with running_server(inference="false") as server:
        async with Api(server.url) as host, Api(server.url) as guest:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("Main")
            breakouts = f"/meetings/{meeting}/breakouts"
            joined = await guest.join(meeting, "Guest")
            body = {"rooms": [{"title": "Blue", "participants": [joined.participant]}]}
            blue = (await host.request("POST", breakouts, body))["rooms"][0]["id"]
            async with Room(guest.signaling_url(joined), token=joined.token) as main:
                await host.request("POST", f"{breakouts}/open")
                assert await over(main) == "reassigned"
                assert main.state.moved is not None and main.state.moved.meeting == blue

            inside = await guest.join(meeting, rejoin_secret=joined.rejoin_secret)
            async with Room(guest.signaling_url(inside), token=inside.token) as room:
                assert room.state.info is not None and room.state.info.room == blue
                await host.request("POST", f"{breakouts}/announce", {"text": "One minute"})
                await room.until(lambda: bool(room.state.announcements))
                assert room.state.announcements[0].text == "One minute"
                await host.request("POST", f"{breakouts}/close", {"countdown_seconds": 1})
                assert await over(room) == "reassigned"
                assert room.state.moved is not None and room.state.moved.meeting == meeting

            back = await guest.join(meeting, rejoin_secret=inside.rejoin_secret)
            async with Room(guest.signaling_url(back), token=back.token) as main:
                assert main.state.info is not None and main.state.info.room == meeting
