"""Calls of a client's methods: only its answers to them are taken, and they are bounded."""

import pytest
from livekit.protocol import models

from sfu.api.refusal import Refused
from sfu.api.room_acts import CallMethod, MethodAnswer
from sfu.livekit.remote_calls import RemoteCalls

ASKED = CallMethod(participant="p1", method="greet", payload="Ada", timeout_ms=10_000)


def test_a_call_is_acknowledged_and_answered() -> None:
    calls, changes = RemoteCalls(), []
    call = calls.begin(ASKED, lambda: changes.append(1))
    packet = models.DataPacket.FromString(call.request)
    assert (packet.rpc_request.method, packet.rpc_request.payload) == ("greet", "Ada")
    assert packet.participant_identity == packet.rpc_request.id == call.id
    assert calls.take(models.DataPacket(rpc_ack=models.RpcAck(request_id=call.id)))
    assert (call.acknowledged, call.answer) == (True, None)
    assert calls.take(models.DataPacket(rpc_response=models.RpcResponse(request_id=call.id, payload="Hello")))
    assert call.answer == MethodAnswer(payload="Hello")
    assert len(changes) == 2


def test_errors_are_answers() -> None:
    calls = RemoteCalls()
    call = calls.begin(ASKED, lambda: None)
    error = models.RpcError(code=1400, message="no", data="such")
    assert calls.take(models.DataPacket(rpc_response=models.RpcResponse(request_id=call.id, error=error)))
    assert call.answer == MethodAnswer(error=1400, message="no", data="such")


def test_answers_to_participants_are_passed_on() -> None:
    calls = RemoteCalls()
    call = calls.begin(ASKED, lambda: None)
    calls.end(call)
    for packet in (
        models.DataPacket(rpc_ack=models.RpcAck(request_id="theirs")),
        models.DataPacket(rpc_response=models.RpcResponse(request_id=call.id)),
        models.DataPacket(user=models.UserPacket(payload=b"x")),
    ):
        assert not calls.take(packet)


def test_unanswered_calls_are_bounded() -> None:
    calls = RemoteCalls()
    for _ in range(100):
        calls.begin(ASKED, lambda: None)
    with pytest.raises(Refused):
        calls.begin(ASKED, lambda: None)
