"""A worker's connection to the process that holds its shared port, and to the other workers."""

import asyncio
import logging
import socket

from foundation.failures import describe
from sfu.engine.contract import Datagram, Drop
from sfu.peers.context import Context
from sfu.peers.shared_port import SharedPort
from sfu.server.driver import Driver
from sfu.server.port_messages import (
    MAX_LINE_BYTES,
    RESET,
    decode_handed,
    decode_news,
    encode_handed,
    encode_news,
)
from sfu.server.port_share import PortShare

_MAX_MESSAGES = 64
_MESSAGE_BYTES = 256 * 1024

_log = logging.getLogger(__name__)


class PortLink:
    """Sends announcements and datagrams of `context.shared_port`, and receives those of others."""

    def __init__(self, share: PortShare, shared: SharedPort, context: Context, driver: Driver) -> None:
        self._shared = shared
        self._context = context
        self._driver = driver
        self._control = socket.socket(fileno=share.control)
        self._inbox = socket.socket(fileno=share.inbox)
        self._others = {worker: socket.socket(fileno=descriptor) for worker, descriptor in share.others.items()}
        for entry in (self._inbox, *self._others.values()):
            entry.setblocking(False)
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Receive news and datagrams, until cancelled."""
        reader, self._writer = await asyncio.open_connection(sock=self._control.dup(), limit=MAX_LINE_BYTES)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._inbox.fileno(), self._handed)
        try:
            self._writer.write(b"\n" + RESET)  # ends a line that a previous process may have left unfinished
            while line := await reader.readline():
                self._hear(line)
        finally:
            loop.remove_reader(self._inbox.fileno())
            self._writer.close()

    def flush(self) -> None:
        """Send waiting announcements and datagrams."""
        shared = self._shared
        if shared.news and self._writer is not None:
            news, shared.news = shared.news, []
            self._writer.write(encode_news(news))
        if shared.handed:
            for worker, leftovers in shared.take_handed().items():
                for message in encode_handed(leftovers):
                    try:
                        self._others[worker].send(message)
                    except (OSError, KeyError):  # its inbox is full, or it is down
                        self._context.drops[Drop.NOT_HANDED_ON] += len(leftovers)

    def close(self) -> None:
        for entry in (self._control, self._inbox, *self._others.values()):
            entry.close()

    def _hear(self, line: bytes) -> None:
        if line == RESET:
            self._shared.forget()
            return
        try:
            self._shared.learn(decode_news(line))
        except ValueError as error:
            _log.warning("news of the shared port: %s", describe(error))
        self.flush()

    def _handed(self) -> None:
        datagrams = []
        for _ in range(_MAX_MESSAGES):
            try:
                message = self._inbox.recv(_MESSAGE_BYTES)
            except OSError:
                break
            try:
                handed = decode_handed(message)
            except ValueError as error:
                _log.warning("a handed datagram: %s", describe(error))
                continue
            datagrams += [Datagram(one.data, one.source, one.local, one.arrival) for one in handed]
        if datagrams:
            self._driver.take(datagrams)
