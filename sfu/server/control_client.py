"""The client of control's internal API: public keys, and desired states."""

from typing import Any, TypeVar

import aiohttp
import msgspec

from foundation.answer_body import read_body
from foundation.failures import describe
from foundation.part_tls import PartTls, part_session
from sfu.api.desired_state import DesiredChanges, DesiredPoll, DesiredState
from sfu.api.livekit import LiveKitAdmission, LiveKitUse
from sfu.api.registration import Evacuated
from sfu.api.stream_key import StreamKeyAdmission, StreamKeyUse

_T = TypeVar("_T")
MAX_REPLY_BYTES = 4 * 1024 * 1024
TIMEOUT_SECONDS = 5.0


class ControlUnavailable(Exception):
    """Control did not answer, or its answer was invalid; the caller retries later."""


class MeetingUnknown(Exception):
    """Control does not know the meeting."""


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except ValueError as error:
        raise ControlUnavailable(f"unexpected reply: {error}") from error


class ControlClient:
    """Calls control's internal API with the node secret."""

    def __init__(self, base_url: str, node_secret: str, tls: PartTls | None = None) -> None:
        self._base = base_url.rstrip("/")
        self._session = part_session(node_secret, tls, aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))

    async def close(self) -> None:
        await self._session.close()

    async def keys(self) -> list[dict[str, Any]]:
        """Return the JWK set that signs join tokens; raises ControlUnavailable."""
        body = await self._get("/internal/v1/keys")
        return _decode(body, _Keys).keys

    async def desired(self, room: str) -> DesiredState:
        """Return a room's desired state; raises MeetingUnknown or ControlUnavailable."""
        return _decode(await self._get(f"/internal/v1/rooms/{room}/desired"), DesiredState)

    async def desired_changes(self, poll: DesiredPoll) -> DesiredChanges:
        """Return the desired states that have changed; raises ControlUnavailable."""
        status, body = await self._exchange("POST", "/internal/v1/desired-states", msgspec.json.encode(poll))
        if status >= 300:
            raise ControlUnavailable(f"changed desired states: {status}")
        return _decode(body, DesiredChanges)

    async def evacuate(self, node: str) -> list[str]:
        """Have the rooms of this node placed on others; return those that moved. Raises ControlUnavailable."""
        status, body = await self._exchange("POST", f"/internal/v1/nodes/{node}/evacuate", b"{}")
        if status >= 300:
            raise ControlUnavailable(f"evacuate: {status}")
        return _decode(body, Evacuated).moved

    async def admit_by_stream_key(self, use: StreamKeyUse) -> StreamKeyAdmission:
        """Return the join token for a stream key, or the refusal; raises ControlUnavailable."""
        status, body = await self._exchange("POST", "/internal/v1/stream-keys/admit", msgspec.json.encode(use))
        if status >= 300:
            raise ControlUnavailable(f"stream key: {status}")
        return _decode(body, StreamKeyAdmission)

    async def admit_by_livekit_token(self, use: LiveKitUse) -> LiveKitAdmission:
        """Return a join token for the bearer of an access token, or the refusal; raises ControlUnavailable."""
        status, body = await self._exchange("POST", "/internal/v1/livekit/admit", msgspec.json.encode(use))
        if status >= 300:
            raise ControlUnavailable(f"access token: {status}")
        return _decode(body, LiveKitAdmission)

    async def _get(self, path: str) -> bytes:
        status, body = await self._exchange("GET", path)
        if status == 404:
            raise MeetingUnknown(path)
        if status >= 300:
            raise ControlUnavailable(f"GET {path}: {status}")
        return body

    async def _exchange(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with self._session.request(method, self._base + path, data=body, headers=headers) as response:
                data = await read_body(response, MAX_REPLY_BYTES + 1)
                if len(data) > MAX_REPLY_BYTES:
                    raise ControlUnavailable("the reply is too long")
                return response.status, data
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ControlUnavailable(f"{method} {path}: {describe(error)}") from error
