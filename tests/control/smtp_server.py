"""A mail server that keeps received mail: enough of RFC 5321 for a client that only delivers."""

import asyncio
from email import message_from_bytes
from email.message import Message


class SmtpServer:
    def __init__(self) -> None:
        self._mails: asyncio.Queue[Message] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refuses = False
        """True answers every mail as a server does that is out of order for a while."""

    async def __aenter__(self) -> "SmtpServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def waiting(self) -> int:
        return self._mails.qsize()

    async def next(self) -> Message:
        async with asyncio.timeout(30):
            return await self._mails.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            verb = line.split(maxsplit=1)[0].upper()
            if verb == b"MAIL" and self.refuses:
                writer.write(b"451 later\r\n")
                await writer.drain()
                continue
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                self._mails.put_nowait(message_from_bytes(data[:-5]))
            writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()
