"""Keeps the transcoder running: a process that converts audio, started when there is any, and restarted when it ends.

Nothing waits for it. Records that its socket does not accept are dropped; a transcoder that does not answer is killed.
Meanwhile calls continue without the converted audio.
"""

import asyncio
import contextlib
import logging
import socket

from foundation import worker_process
from foundation.backoff import Backoff
from foundation.failures import describe
from sfu.server.driver import Driver
from sfu.transcoding import records
from sfu.transcoding.records import Converted, Dropped, Packet, Ping, Ready

_MODULE = "sfu.transcoding.worker"
_RECORDS_PER_READ = 256
_SEND_BUFFER_BYTES = 1 << 20
_PING_SECONDS = 1.0
_START_SECONDS = 30.0
"""The time allowed for starting it."""
_ANSWER_SECONDS = 3.0

_log = logging.getLogger(__name__)


class Transcoder:
    """The node's transcoder."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._transcoding = driver.node.transcoding
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._channel: socket.socket | None = None
        self._end = self._loop.create_future()
        self._heard_at = 0.0
        self.pid: int | None = None

    async def run(self) -> None:
        """Keep a transcoder running while there is audio to convert, until cancelled."""
        backoff = Backoff()
        while True:
            await self._wanted.wait()
            await backoff.wait()
            try:
                process, channel = await worker_process.start(_MODULE, kind=socket.SOCK_SEQPACKET)
            except OSError as error:
                _log.error("cannot start the transcoder: %s", describe(error))
                continue
            try:
                reason = await self._serve(process, channel, backoff)
            finally:
                self._ended(channel)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            self._driver.node.context.counters["transcoder_restarts"] += 1
            _log.error("the transcoder %s; starting it again", reason)

    async def _serve(self, process: asyncio.subprocess.Process, channel: socket.socket, backoff: Backoff) -> str:
        """Serve a transcoder until it ends; return the reason."""
        channel.setblocking(False)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.pid, self._channel, self._end = process.pid, channel, self._loop.create_future()
        self._loop.add_reader(channel, self._readable, channel)
        self._heard_at = self._loop.time()
        while not self._end.done():
            await asyncio.wait((self._end,), timeout=_PING_SECONDS)
            patience = _ANSWER_SECONDS if self._transcoding.is_running else _START_SECONDS
            if self._loop.time() - self._heard_at > patience:
                self._give_up("does not answer")
            elif self._transcoding.is_running:
                backoff.reset()
                self._transcoding.records.append(Ping())
                self.flush()
        reason: str = self._end.result()
        return reason

    def flush(self) -> None:
        """Send its records, as far as its socket accepts them; if none runs, start one if there is audio to convert."""
        if len(self._transcoding):
            self._wanted.set()
        waiting = self._transcoding.records
        while waiting and self._channel is not None and not self._end.done():
            record = waiting.popleft()
            try:
                self._channel.send(records.encode(record))
            except (BlockingIOError, InterruptedError):
                if isinstance(record, Packet):
                    self._transcoding.drops["full"] += 1
                elif not isinstance(record, Ping):
                    self._give_up("does not read its records")
            except OSError as error:
                self._give_up(f"cannot be reached: {describe(error)}")

    def _give_up(self, reason: str) -> None:
        if not self._end.done():
            self._end.set_result(reason)

    def _ended(self, channel: socket.socket) -> None:
        self._loop.remove_reader(channel)
        channel.close()
        self.pid = self._channel = None
        self._transcoding.ended()

    def _readable(self, channel: socket.socket) -> None:
        now = self._driver.now()
        try:
            for _ in range(_RECORDS_PER_READ):
                data = channel.recv(records.MAX_BYTES)
                if not data:
                    self._give_up("has ended")
                    break
                self._take(records.decode(data), now)
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, ValueError) as error:
            self._give_up(f"cannot be reached: {describe(error)}")
        finally:  # a fault costs only this step, not other output
            self._driver.node.settle(now)
            self._driver.flush()

    def _take(self, record: records.Record, now: int) -> None:
        self._heard_at = self._loop.time()
        match record:
            case Converted(conversion, rtp):
                self._driver.node.converted(conversion, rtp, now)
            case Dropped(reasons):
                self._transcoding.drops.update(reasons)
            case Ready(confined):
                level = logging.INFO if "seccomp" in confined else logging.WARNING
                _log.log(level, "transcoder ready, confined by %s", ", ".join(confined))
                self._driver.node.transcoder_began(now)
            case _:
                raise ValueError("a transcoder may not send this record")
