"""Policies on consent to recording, enforced before media reaches the sinks."""

from pathlib import Path

import aiohttp
import msgspec
import pytest

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.facts import ConsentAnswered
from sfu.api.sink_records import PacketRecord, TrackClosed, TrackOpened
from tests.sfu.server.harness import client, host
from tests.sfu.server.test_sinks import RECORDING, SinkClient, call, consent
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
RECORDED = DesiredState(room="r", version=1, recording=RECORDING, consent="implied")


async def test_joining_gives_consent_where_it_is_implied_and_who_refuses_reaches_no_sink(tmp_path: Path) -> None:
    async with call(tmp_path) as (h, bob, tracks):
        recorder = SinkClient(h.sink_socket, "recorder")
        await h.put_desired(RECORDED)
        told = await bob.until(signaling.RecordingChanged)
        assert (told.state.active, told.state.consent) == (True, "implied")
        camera = await recorder.until(TrackOpened, lambda r: r.track == tracks["camera"])
        await recorder.until(PacketRecord, lambda r: r.handle == camera.handle)
        await eventually(lambda: len([fact for fact in h.control.facts if isinstance(fact, ConsentAnswered)]) == 2)

        await consent(h, "ann", recording=False)
        await recorder.until(TrackClosed, lambda r: r.handle == camera.handle and r.reason == "consent")
        recorder.records.clear()
        await h.put_desired(msgspec.structs.replace(RECORDED, version=2, locked=True))  # nothing implies it again
        assert not h.node.sinks.taps
        assert not recorder.of(PacketRecord)
        recorder.close()


async def test_nobody_attends_without_consent_where_it_is_required(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.desired["r"] = DesiredState(room="r", version=1, consent="required")
        async with client(h, h.control.token("r", "ann")) as ann:
            info = await ann.until(signaling.RoomInfo)
            assert info.recording.consent == "required"
            await ann.send(signaling.Chat(text="hello"))
            await ann.send(signaling.Offer(peer="publish", sdp="v=0\r\n"))
            await ann.send(signaling.RestartSubscribe())
            await ann.send(signaling.Ping(id=1))
            await ann.until(signaling.Pong)
            refused = [message.code for message in ann.received if isinstance(message, signaling.Error)]
            assert refused == ["consent_required"] * 3
            assert not [message for message in ann.received if isinstance(message, signaling.Offer)]
            await ann.send(signaling.Consent(text="text-1", recording=True))
            await ann.until(signaling.Offer)  # the others' tracks
            await ann.send(signaling.Consent(text="text-1", recording=False))
            assert (await ann.until(signaling.Error, lambda m: m.fatal)).code == "consent_required"
            assert await ann.closed() == 4001
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {h.control.token('r', 'cam')}", "Content-Type": "application/sdp"}
            async with session.post(f"{h.http}/whip/r", data="v=0\r\n", headers=headers) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "consent_required")


async def test_a_meeting_that_begins_to_require_consent_puts_out_who_gave_none(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann,
        client(h, h.control.token("r", "bob")) as bob,
    ):
        await ann.until(signaling.RoomInfo)
        await bob.until(signaling.RoomInfo)
        await consent(h, "ann", recording=True)
        await h.put_desired(DesiredState(room="r", version=1, consent="required"))
        assert (await bob.until(signaling.Error)).code == "consent_required"
        assert (await ann.until(signaling.ParticipantLeft)).participant == "bob"
        assert list(h.node.rooms["r"].participants) == ["ann"]
