"""Calls of participants' methods by an application, for control: the request is answered when the client answers."""

import asyncio

import msgspec
from aiohttp import web

from sfu.api.refusal import Refused
from sfu.api.room_acts import CallError, CallMethod, MethodAnswer, SayData
from sfu.livekit.data_packets import TOPIC
from sfu.livekit.remote_calls import LATENCY_SECONDS, Call
from sfu.livekit.session import LiveKitSession
from sfu.server.driver import Driver

_LOOK_SECONDS = 0.5
_CONNECTION_TIMEOUT = MethodAnswer(error=CallError.CONNECTION_TIMEOUT, message="Connection timeout")
_RESPONSE_TIMEOUT = MethodAnswer(error=CallError.RESPONSE_TIMEOUT, message="Response timeout")
_DISCONNECTED = MethodAnswer(error=CallError.RECIPIENT_DISCONNECTED, message="Recipient disconnected")
_UNSUPPORTED = MethodAnswer(error=CallError.UNSUPPORTED_METHOD, message="Method not supported at destination")


class RemoteCallsApi:
    """Serves `POST /node/v1/rooms/{room}/calls`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with a MethodAnswer, 404 if the participant is not on this node."""
        room = request.match_info["room"]
        try:
            asked = msgspec.json.decode(await request.read(), type=CallMethod)
            answer = await self._answer(room, asked)
        except ValueError as error:
            return web.json_response({"code": "bad_message", "detail": str(error)}, status=400)
        except Refused as refused:
            return web.json_response({"code": refused.code.value, "detail": refused.detail}, status=429)
        if answer is None:
            return web.json_response({"code": "not_here", "detail": "The participant is not here."}, status=404)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _answer(self, room: str, asked: CallMethod) -> MethodAnswer | None:
        live = self._driver.node.rooms.get(room)
        person = None if live is None else live.participants.get(asked.participant)
        if live is None or person is None or person.link is not None:
            return None
        if not isinstance(person.dialect, LiveKitSession):
            return _UNSUPPORTED
        changed, calls = asyncio.Event(), person.dialect.calls
        call = calls.begin(asked, changed.set)
        try:
            packet = SayData(payload=call.request, topic=TOPIC, to=(asked.participant,))
            self._driver.node.act(room, packet, self._driver.now())
            self._driver.flush()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            while call.answer is None:
                waited = loop.time() - begun
                if live.participants.get(asked.participant) is not person:
                    return _DISCONNECTED
                if waited >= LATENCY_SECONDS and not call.acknowledged:
                    return _CONNECTION_TIMEOUT
                if waited >= asked.timeout_ms / 1000:
                    return _RESPONSE_TIMEOUT
                await _until(changed, call, asked.timeout_ms / 1000 - waited)
            return call.answer
        finally:
            calls.end(call)


async def _until(changed: asyncio.Event, call: Call, most: float) -> None:
    """Wait until something changed, or it is time to look whether the participant is still there."""
    changed.clear()
    if call.answer is not None:
        return
    try:
        async with asyncio.timeout(min(most, _LOOK_SECONDS)):
            await changed.wait()
    except TimeoutError:
        pass
