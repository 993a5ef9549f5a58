"""Client of plain RTP transports on the sfu node of a meeting."""

from urllib.parse import quote

import aiohttp
import msgspec

from control.problem import Problem
from sfu.api.plain_transport import AnyTransport, TransportInfo, Transports
from sfu.api.registration import NodeRecord

_TIMEOUT = aiohttp.ClientTimeout(total=5)


class _Refusal(msgspec.Struct, frozen=True):
    code: str = "refused"
    detail: str = "The media server refused the request."


class TransportClient:
    """Client of one node for one room. Every method raises Problem: the node's refusal, or 502 without an answer."""

    def __init__(self, node: NodeRecord, secret: str, room: str, http: aiohttp.ClientSession) -> None:
        self._url = f"{node.http_url}/node/v1/rooms/{room}/transports"
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._http = http

    async def open(self, transport: AnyTransport, *, part: str | None = None) -> TransportInfo:
        """Open a transport. `part` is the address of a part of this installation that it is for: `transport_networks`
        does not apply to it, and it reaches the node at its own address, not at the public one.
        """
        path = f"?part={quote(part)}" if part is not None else ""
        return msgspec.json.decode(await self._ask("POST", path, msgspec.json.encode(transport)), type=TransportInfo)

    async def list(self) -> Transports:
        return msgspec.json.decode(await self._ask("GET", ""), type=Transports)

    async def close(self, transport: str) -> None:
        await self._ask("DELETE", f"/{transport}")

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            async with self._http.request(
                method, self._url + path, data=body, headers=self._headers, timeout=_TIMEOUT
            ) as answer:
                data = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Problem(502, "node_unavailable", "The media server of this meeting is not answering.") from error
        if answer.status < 300:
            return data
        try:
            refusal = msgspec.json.decode(data, type=_Refusal)
        except msgspec.DecodeError:
            refusal = _Refusal()
        status = answer.status if answer.status in {400, 403, 404, 429, 503} else 502
        raise Problem(status, refusal.code, refusal.detail)
