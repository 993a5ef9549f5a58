"""Calls of a client's methods by an application (RPC). No participant makes them.

The caller's identity is the id of the call, as with LiveKit's server: the client's answer says which call it answers.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol import models

from sfu.api.refusal import Code, Refused
from sfu.api.room_acts import CallMethod, MethodAnswer

LATENCY_SECONDS = 2.0
"""Time after which a client that has not acknowledged a call is taken for disconnected."""

_MAX_CALLS = 100  # of one client at a time
_VERSION = 1


@dataclass(slots=True, eq=False)
class Call:
    """A call that was made; `changed` is called when it is acknowledged or answered. `request` is its packet."""

    id: str
    request: bytes
    changed: Callable[[], None]
    acknowledged: bool = False
    answer: MethodAnswer | None = None


class RemoteCalls:
    """The calls of one client's methods that have not ended."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}

    def begin(self, asked: CallMethod, changed: Callable[[], None]) -> Call:
        """Return a call, whose packet must be sent to the client; raises Refused if there are too many."""
        if len(self._calls) >= _MAX_CALLS:
            raise Refused(Code.TOO_MANY_REQUESTS, "Too many calls of this participant's methods are unanswered.")
        name = secrets.token_hex(16)
        request = models.RpcRequest(
            id=name,
            method=asked.method,
            payload=asked.payload,
            response_timeout_ms=asked.timeout_ms,
            version=_VERSION,
        )
        packet = models.DataPacket(participant_identity=name, rpc_request=request)
        call = self._calls[name] = Call(name, packet.SerializeToString(), changed)
        return call

    def end(self, call: Call) -> None:
        """Forget a call; a later answer is ignored."""
        self._calls.pop(call.id, None)

    def take(self, packet: "models.DataPacket") -> bool:
        """Return whether a client's packet acknowledges or answers a call, and note it."""
        kind = packet.WhichOneof("value")
        if kind == "rpc_ack":
            call = self._calls.get(packet.rpc_ack.request_id)
        elif kind == "rpc_response":
            call = self._calls.get(packet.rpc_response.request_id)
        else:
            return False
        if call is None:
            return False
        call.acknowledged = True
        if kind == "rpc_response":
            response = packet.rpc_response
            error = response.error
            call.answer = (
                MethodAnswer(error=error.code, message=error.message, data=error.data)
                if response.HasField("error")
                else MethodAnswer(payload=response.payload)
            )
        call.changed()
        return True
