"""The node API's plain transports: POST opens one, GET lists a room's, DELETE closes one."""

import msgspec
from aiohttp import web

from sfu.api.plain_transport import AnyTransport, SendTransport, TransportInfo, Transports
from sfu.api.refusal import Code, Refused
from sfu.rooms import plain_transports
from sfu.server.driver import Driver
from sfu.server.plain_sockets import FarEnds, PlainSockets

_STATUS = {Code.BAD_MESSAGE: 400, Code.UNKNOWN_TRACK: 404, Code.FULL: 503, Code.TOO_MANY_REQUESTS: 429}


class TransportsApi:
    """The handlers; the caller checks permission."""

    def __init__(self, driver: Driver, sockets: PlainSockets, far_ends: FarEnds) -> None:
        self._driver = driver
        self._sockets = sockets
        self._far_ends = far_ends

    async def open(self, request: web.Request) -> web.StreamResponse:
        """Open a transport as described; answer 201 with the opened transport.

        With `?part=ADDRESS`, control asks on behalf of another part, so the operator need not have allowed transports.
        """
        try:
            wish = msgspec.json.decode(await request.read(), type=AnyTransport)
        except ValueError as error:
            return _refusal(400, Code.BAD_MESSAGE, str(error))
        try:
            info = self._open(request.match_info["room"], wish, part=request.query.get("part"))
        except Refused as refused:
            return _refusal(_STATUS.get(refused.code, 403), refused.code, refused.detail)
        finally:
            self._driver.flush()
        return _answer(info, 201)

    def _open(self, room: str, wish: AnyTransport, *, part: str | None) -> TransportInfo:
        if part is None or wish.address is not None:
            self._far_ends.check_open()
        plain_transports.check(wish)
        is_vouched_for = True
        if wish.address is not None:
            address, is_vouched_for = self._far_ends.check(wish.address)
            wish = msgspec.structs.replace(wish, address=address)
        if isinstance(wish, SendTransport):
            end = self._sockets.to_send(wish.address)
        else:
            end = self._sockets.to_receive(wish.address or part or None, mux=wish.rtcp_mux)
        try:
            return plain_transports.open_transport(
                self._driver.node, room, wish, end, self._driver.now(), is_vouched_for=is_vouched_for
            )
        except Refused:
            self._sockets.give_back(end)
            raise

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the open transports of a room; none if it is not live."""
        room = self._driver.node.rooms.get(request.match_info["room"])
        return _answer(Transports(transports=plain_transports.infos(room) if room is not None else []), 200)

    async def close(self, request: web.Request) -> web.StreamResponse:
        """Close a transport."""
        names = request.match_info
        closed = plain_transports.close_transport(
            self._driver.node, names["room"], names["transport"], self._driver.now()
        )
        self._driver.flush()
        if not closed:
            return web.json_response({"code": "unknown_transport", "detail": "There is no such transport."}, status=404)
        return web.Response(status=204)


def _answer(value: msgspec.Struct, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _refusal(status: int, code: Code, detail: str) -> web.Response:
    return web.json_response({"code": code.value, "detail": detail}, status=status)
