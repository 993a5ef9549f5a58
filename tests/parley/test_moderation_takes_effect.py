"""Moderation over REST takes effect in the live room, through the whole server."""

from parley_client import Api, Room
from tests.support.call import become_admin, speaking
from tests.support.server import running_server


async def test_mute_a_lost_role_and_removal() -> None:
    with running_server() as server:
        async with Api(server.url) as host, Api(server.url) as guest:
            await become_admin(host, server.setup_token)
            meeting = await host.create_meeting("Moderated")
            people = f"/meetings/{meeting}/participants"
            first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
            async with (
                Room(host.signaling_url(first), token=first.token) as watcher,
                Room(guest.signaling_url(second), token=second.token) as speaker,
                speaking(speaker) as microphone,
            ):
                track = microphone.track
                await watcher.until(lambda: track in watcher.state.tracks, 30)

                await host.request("POST", f"{people}/{second.participant}/mute", {"muted": ["microphone"]})
                await watcher.until(lambda: watcher.state.tracks[track].muted, 30)

                await host.request("PUT", f"{people}/{second.participant}/role", {"role": "viewer"})
                await watcher.until(lambda: track not in watcher.state.tracks, 30)

                await host.request("POST", f"{people}/{second.participant}/remove", {})
                await watcher.until(lambda: second.participant not in watcher.state.participants, 30)
