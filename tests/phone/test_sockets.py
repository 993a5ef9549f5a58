"""Connections to a trunk, through which calls also come in where nothing listens."""

import asyncio

from phone.sip.messages import Flow
from phone.sip.sockets import SipSockets
from tests.support.waiting import eventually


async def test_a_connection_begins_at_the_port_that_was_announced() -> None:
    ports: list[int] = []
    lost: list[Flow] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.append(writer.get_extra_info("peername")[1])
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    flow = Flow("tcp", "127.0.0.1", server.sockets[0].getsockname()[1])
    sockets = SipSockets(lambda _data, _flow: None, lambda _host: False, lost.append)
    async with server:
        announced = sockets.local_port(flow, "127.0.0.1")
        assert sockets.local_port(flow, "127.0.0.1") == announced
        sockets.send(flow, b"REGISTER")
        await eventually(lambda: lost == [flow], 10)
        assert ports == [announced]
        await sockets.close()
