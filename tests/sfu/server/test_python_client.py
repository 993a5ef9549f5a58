"""Scripts with the Python client: publishing by name, chat, lost connections."""

import asyncio
from pathlib import Path

import pytest

from parley_client import Codec, Room, Source
from parley_client.room import RoomState, _note
from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.machines.ice import client as ice_client
from tests.sfu.server.harness import host
from tests.support.waiting import eventually


async def test_tracks_are_named_in_plain_words(tmp_path: Path) -> None:
    async with host(tmp_path) as h, Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        camera, microphone = await ann.publish(("camera", "VP8"), ("microphone", "opus"))
        assert (camera.source, camera.codec) == (Source.CAMERA, Codec.VP8)
        assert (microphone.source, microphone.codec) == (Source.MICROPHONE, Codec.OPUS)
        for wrong in (("camera", "VP7"), ("window", "VP8"), ("microphone", "RTX"), ("camera", Codec.G722)):
            with pytest.raises(ValueError, match="is n"):
                await ann.publish(wrong)
        assert len(ann.publications) == 2


async def test_chat_reaches_everybody_or_the_one_who_is_meant(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        Room(h.signaling_url, token=h.control.token("r", "ann")) as ann,
        Room(h.signaling_url, token=h.control.token("r", "bob")) as bob,
        Room(h.signaling_url, token=h.control.token("r", "eve")) as eve,
    ):
        await ann.chat("to bob", to="bob")
        await ann.chat("to all")
        await eventually(lambda: any(chat.text == "to all" for chat in eve.state.chats), 30)
        await eventually(lambda: len(bob.state.chats) == 2, 30)
        assert [chat.text for chat in eve.state.chats] == ["to all"]


@pytest.mark.parametrize("lost", ["_publish", "_subscribe"])
async def test_a_room_is_left_once_its_media_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """A bot whose network has changed would stay without sound for good; one that has left can join again."""
    monkeypatch.setattr(ice_client, "CONSENT_NS", 2_000_000_000)
    monkeypatch.setattr(ice_client, "CONSENT_INTERVAL_NS", 200_000_000)
    async with (
        host(tmp_path) as h,
        Room(h.signaling_url, token=h.control.token("r", "ann")) as ann,
        Room(h.signaling_url, token=h.control.token("r", "bob")) as bob,
    ):
        await ann.publish(("microphone", "opus"))
        await bob.publish(("microphone", "opus"))
        await eventually(lambda: ann._subscribe is not None and ann._subscribe.peer.connected, 30)
        await asyncio.sleep(0.5)
        assert ann.state.closed is None
        monkeypatch.setattr(getattr(ann, lost).peer, "receive", lambda *_: None)
        await asyncio.wait_for(ann.over(), 30)
        assert "the connection for media was lost" in ann.state.closed
        assert bob.state.closed is None


async def test_the_servers_reason_comes_before_the_clients_own(tmp_path: Path) -> None:
    """A meeting that ends takes the media away first; the client waits for the word that follows."""
    async with host(tmp_path) as h, Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        await eventually(lambda: ann._subscribe is not None and ann._subscribe.peer.connected, 30)
        await h.put_desired(DesiredState(room="r", version=1, ended=True))
        await asyncio.wait_for(ann.over(), 30)
        assert ann.state.closed == "4001 ended"


def test_only_the_newest_messages_are_kept() -> None:
    state = RoomState()
    for number in range(10_001):
        _note(state, signaling.Chat(text=str(number)))
    assert (len(state.chats), state.chats[0].text, state.chats[-1].text) == (10_000, "1", "10000")
