"""Telephones in a meeting: one calls in with the PIN, and is called; both sides are heard, and hosts are obeyed.

An application does the same by LiveKit's SIP service.
"""

import asyncio

import av
import numpy as np
import pytest
from livekit import api
from livekit.protocol import models

from parley.network import allocate_port
from parley_client import Api, Room
from parley_client.media import Decoder
from tests.phone.scripted_phone import ScriptedPhone, scripted_phone
from tests.support.call import become_admin
from tests.support.livekit_client import KEY, KEYS, SECRET
from tests.support.server import running_server
from tests.support.speaking import speaking
from tests.support.waiting import eventually

SAID, HEARD = 700.0, 1100.0
TONE = (9000 * np.sin(2 * np.pi * HEARD * np.arange(48_000) / 48_000)).astype(np.int16)


async def test_a_telephone_takes_part() -> None:
    port = allocate_port()
    async with scripted_phone() as phone:
        settings = {
            "phone": "true",
            "inference": "false",
            "sip_port": str(port),
            "sip_allowed": "127.0.0.1",
            "sip_trunk": f"sip:127.0.0.1:{phone.port}",
            "phone_numbers": "+44 20 7946 0000",
            "phone_prefixes": "+44",
            "livekit_keys": KEYS,
        }
        with running_server(**settings) as server:
            async with Api(server.url) as host:
                await become_admin(host, server.setup_token)
                meeting = await host.create_meeting("By phone", lobby=True)
                joined = await host.join(meeting, "Host")
                async with Room(host.signaling_url(joined), token=joined.token, data=True) as room:
                    (microphone,) = await room.publish(("microphone", "opus"))
                    async with speaking(microphone, TONE), api.LiveKitAPI(server.url, KEY, SECRET) as application:
                        rule = await _make_rule(application, meeting)
                        await _calls_in(host, meeting, room, phone, port)
                        await _is_called(host, meeting, room, phone)
                        await _is_called_by(application, meeting, room, phone)
                        await _calls_by_rule(application, rule, meeting, room, phone, port)
            assert not [line for line in server.lines if "Traceback" in line], "\n".join(server.lines)


async def _calls_in(host: Api, meeting: str, room: Room, phone: ScriptedPhone, port: int) -> None:
    access = await host.request("GET", f"/meetings/{meeting}/phone")
    phone.call(port, "G722", "+442079460123")
    await eventually(lambda: phone.loudest() > 0, 30)  # it is asked for the PIN
    assert phone.leg is not None
    phone.leg.press(access["pin"] + "#")
    entry = await eventually(lambda: _waiting(host, meeting), 30)
    await host.request("POST", f"/meetings/{meeting}/lobby/{entry}/admit")
    await eventually(lambda: len(room.state.tracks) == 1, 30)
    (track,) = room.state.tracks.values()
    person = room.state.participants[track.participant]
    assert (person.name, person.kind) == ("+44 … 123", "phone")
    phone.tone = SAID
    assert abs(await _tone_of(room, track.track) - SAID) < 15
    await eventually(lambda: abs(phone.loudest() - HEARD) < 15, 30)
    phone.leg.press("*6")
    await eventually(lambda: room.state.tracks[track.track].muted, 30)
    phone.leg.press("*9")
    await eventually(lambda: room.state.participants[person.participant].hand, 30)
    await host.request("POST", f"/meetings/{meeting}/participants/{person.participant}/remove", {})
    await eventually(lambda: phone.ended == 0 and len(room.state.participants) == 1, 30)


async def _is_called(host: Api, meeting: str, room: Room, phone: ScriptedPhone) -> None:
    calls = f"/meetings/{meeting}/phone/calls"
    phone.rings = True
    made = await host.request("POST", calls, {"number": "+44 20 7946 0999", "name": "Bob"})
    await eventually(lambda: len(room.state.tracks) == 1, 30)
    (track,) = room.state.tracks.values()
    assert room.state.participants[track.participant].name == "Bob"
    assert abs(await _tone_of(room, track.track) - SAID) < 15  # before it answers
    assert phone.loudest() == 0
    phone.pick_up()
    await eventually(lambda: abs(phone.loudest() - HEARD) < 15, 30)
    phone.rings = False
    phone.hang_up()
    await eventually(lambda: len(room.state.participants) == 1, 30)

    async def reason() -> str:
        listed = (await host.request("GET", calls))["calls"]
        return str(next(one["reason"] for one in listed if one["id"] == made["id"]))

    assert await eventually(reason, 30) == "hung_up"


async def _is_called_by(application: api.LiveKitAPI, meeting: str, room: Room, phone: ScriptedPhone) -> None:
    trunk = await application.sip.create_outbound_trunk(
        api.CreateSIPOutboundTrunkRequest(
            trunk=api.SIPOutboundTrunkInfo(name="t", address=f"127.0.0.1:{phone.port}", numbers=["+4420"])
        )
    )
    asked = api.CreateSIPParticipantRequest(
        sip_trunk_id=trunk.sip_trunk_id,
        sip_call_to="+491234",
        room_name=meeting,
        participant_identity="bob",
        participant_attributes={"a": "b"},
        wait_until_answered=True,
    )
    phone.refuses = 486
    with pytest.raises(api.SipCallError) as refused:
        await application.sip.create_sip_participant(asked)
    assert (refused.value.sip_status_code, refused.value.code) == (486, "resource_exhausted")
    phone.refuses = 0
    made = await application.sip.create_sip_participant(asked)
    one = api.RoomParticipantIdentity(room=meeting, identity="bob")
    person = await application.room.get_participant(one)
    assert (person.sid, person.kind) == (made.participant_id, api.ParticipantInfo.Kind.SIP)
    told = dict(person.attributes)
    assert told.pop("sip.callID") == made.sip_call_id
    assert told == {
        "a": "b", "sip.callStatus": "active", "sip.phoneNumber": "+491234", "sip.trunkID": trunk.sip_trunk_id,
        "sip.trunkPhoneNumber": "+4420", "sip.hostname": "127.0.0.1",
    }  # fmt: skip
    track = await eventually(lambda: next(iter(room.state.tracks.values()), None), 30)
    assert abs(await _tone_of(room, track.track) - SAID) < 15
    await eventually(lambda: abs(phone.loudest() - HEARD) < 15, 30)
    with pytest.raises(api.SipCallError) as refused:  # this phone cannot do that
        await application.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(room_name=meeting, participant_identity="bob", transfer_to="tel:+1")
        )
    assert (refused.value.sip_status_code, refused.value.sip_transfer_reason) == (405, "STR_REJECTED")
    await application.room.remove_participant(one)
    await eventually(lambda: phone.ended == 0 and len(room.state.participants) == 1, 30)


async def _make_rule(application: api.LiveKitAPI, meeting: str) -> str:
    """Let calls to a number into the meeting, with a PIN; return the rule."""
    trunk = await application.sip.create_inbound_trunk(
        api.CreateSIPInboundTrunkRequest(
            trunk=api.SIPInboundTrunkInfo(name="in", numbers=["+44 555"], allowed_addresses=["127.0.0.0/8"])
        )
    )
    direct = api.SIPDispatchRuleDirect(room_name=meeting, pin="42")
    made = await application.sip.create_dispatch_rule(
        api.CreateSIPDispatchRuleRequest(
            dispatch_rule=api.SIPDispatchRuleInfo(
                rule=api.SIPDispatchRule(dispatch_rule_direct=direct),
                trunk_ids=[trunk.sip_trunk_id],
                attributes={"from": "rule"},
            )
        )
    )
    return str(made.sip_dispatch_rule_id)


async def _calls_by_rule(
    application: api.LiveKitAPI, rule: str, meeting: str, room: Room, phone: ScriptedPhone, port: int
) -> None:
    phone.call(port, "PCMA", "+491", "+44555")
    await eventually(lambda: phone.loudest() > 0, 30)  # it is asked for the PIN
    assert phone.leg is not None
    phone.leg.press("42#")
    await eventually(lambda: len(room.state.tracks) == 1, 30)
    (person,) = [one for one in room.state.participants.values() if one.kind == "phone"]
    assert (person.name, person.identity) == ("Phone +491", "sip_+491")
    seen = await application.room.get_participant(api.RoomParticipantIdentity(room=meeting, identity="sip_+491"))
    assert (seen.attributes["sip.ruleID"], seen.attributes["from"]) == (rule, "rule")
    (track,) = room.state.tracks.values()
    assert abs(await _tone_of(room, track.track) - SAID) < 15
    with room.data() as data:
        assert phone.leg is not None
        phone.leg.press("7")
        async with asyncio.timeout(30):
            received = await anext(data)
    assert models.DataPacket.FromString(received.payload).sip_dtmf.digit == "7"
    await room.send_data(models.DataPacket(sip_dtmf=models.SipDTMF(digit="8")).SerializeToString(), topic="livekit")
    await eventually(lambda: phone.leg is not None and list(phone.leg.keys)[-1:] == ["8"], 30)
    phone.hang_up()
    await eventually(lambda: len(room.state.participants) == 1, 30)


async def _waiting(host: Api, meeting: str) -> str:
    found = (await host.request("GET", f"/meetings/{meeting}/lobby"))["waiting"]
    return str(found[0]["id"]) if found else ""


async def _tone_of(room: Room, track: str) -> float:
    """Return the loudest frequency of half a second of a track that is not silent."""
    decoder, heard = Decoder(), [np.zeros(0, np.float32)]
    async with asyncio.timeout(30):
        with room.frames(track) as feed:
            async for encoded in feed:
                for frame in decoder.decode(encoded):
                    assert isinstance(frame, av.AudioFrame)
                    samples = frame.to_ndarray().astype(np.float32)[0]
                    heard.append(
                        samples[::2] if frame.format.is_packed and len(frame.layout.channels) == 2 else samples
                    )
                if sum(len(one) for one in heard) >= 24_000:
                    break
    samples = np.concatenate(heard)[-20_000:]
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * 48_000 / len(samples))
