"""The streams of one ingress process: limits their number, reports them to control, and follows its orders."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import msgspec

from foundation.background import cancel_all, note_failure
from foundation.backoff import Backoff
from foundation.control_requests import keep_reporting
from foundation.failures import describe
from ingress import metrics, rtsp_source, web_page
from ingress.config import IngressConfig
from ingress.control_client import ControlClient
from ingress.stream import Failed, Stream
from ingress.transcoder import Spare
from sfu.api.ingress import IngressReport, PageView, StreamPhase, StreamProtocol, StreamState, UrlOrder

_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0


class TooManyStreams(Exception):
    """This ingress already has as many streams as it may."""


class Streams:
    """Running streams by id."""

    def __init__(self, config: IngressConfig, control: ControlClient) -> None:
        cores = len(os.sched_getaffinity(0))
        self.most = config.streams or max(1, cores)
        self.most_pages = (config.pages or max(1, cores // 2)) if config.browser else 0
        self.spare = Spare()
        self._config = config
        self._control = control
        self._running: dict[str, tuple[Stream, asyncio.Task[Any]]] = {}
        self._pushed: dict[str, asyncio.Task[Any]] = {}
        """The connections that have a place, also those whose stream does not run yet."""
        self._urls: dict[str, tuple[UrlOrder, asyncio.Task[None]]] = {}
        self._last: dict[str, StreamState] = {}
        """The states of streams that do not run: of RTMP streams that have ended, until they are reported, and of URLs
        that are retried or have ended.
        """

    @property
    def free(self) -> int:
        read = {name for name, (order, _) in self._urls.items() if order.page is None}
        return max(0, self.most - len(self._pushed.keys() | read))

    @property
    def free_pages(self) -> int:
        return max(0, self.most_pages - sum(order.page is not None for order, _ in self._urls.values()))

    @contextlib.asynccontextmanager
    async def place(self, stream: str) -> AsyncIterator[None]:
        """Hold a place for a pushed stream, whose earlier connection ends. Raises TooManyStreams."""
        task = asyncio.current_task()
        assert task is not None
        while (earlier := self._pushed.get(stream)) is not None:
            await cancel_all([earlier])
        if not self.free:
            metrics.REFUSED.labels("full").inc()
            raise TooManyStreams("This server takes no more streams at the moment.")
        self._pushed[stream] = task
        try:
            yield
        finally:
            del self._pushed[stream]

    async def carry(self, stream: Stream, feed: Coroutine[Any, Any, None] | None = None) -> None:
        """Run a stream in this task, and keep the reason of its end for the report. Raises Failed."""
        task = asyncio.current_task()
        assert task is not None
        self._running[stream.stream] = stream, task
        error = ""
        try:
            await stream.run(feed)
        except Failed as failed:
            error = str(failed)
            raise
        finally:
            if self._running.get(stream.stream) == (stream, task):
                del self._running[stream.stream]
            final = msgspec.structs.replace(stream.state(), phase="waiting", since=_now(), bits_per_second=0)
            self._last[stream.stream] = msgspec.structs.replace(final, error=error or final.error)

    async def report(self) -> None:
        """Report to control every second, and follow its orders."""
        self.spare.prepare()
        try:
            await keep_reporting(self._report, "streams")
        finally:
            await cancel_all([task for _, task in self._urls.values()])
            self._urls.clear()  # so that all are read again if this continues after a failure
            await self.spare.close()

    async def _report(self) -> None:
        states = self._last | {name: stream.state() for name, (stream, _) in self._running.items()}
        report = IngressReport(
            instance=self._config.instance, free=self.free, free_pages=self.free_pages, streams=states
        )
        orders = await self._control.report(report)
        for name, state in states.items():
            if name not in self._urls and self._last.get(name) is state:
                del self._last[name]
        ended = [task for name, (_, task) in self._running.items() if name in states and name not in orders.held]
        await cancel_all(ended)
        wanted = {order.stream: order for order in orders.urls}
        for name, (order, task) in list(self._urls.items()):
            if wanted.get(name) != order:
                await cancel_all([task])
                del self._urls[name]
                self._last.pop(name, None)
        for name, order in wanted.items():
            if name not in self._urls:
                self._urls[name] = order, asyncio.create_task(self._keep(order))

    async def _keep(self, order: UrlOrder) -> None:
        """Read a URL until its content ends; retry after failures, except for pages, whose failure is their end."""
        backoff = Backoff(_LONGEST_PAUSE, 1.0)
        attempts = 0
        while True:
            begun = time.monotonic()
            attempts += 1
            try:
                await self._read(order, attempts - 1)
            except (Failed, OSError) as error:
                reason = describe(error)
            except Exception as error:
                note_failure("stream from a URL", error, "failed; it is tried again")
                reason = "The server failed to take the stream in."
            else:
                self._note(order, "ended", "")
                return
            _log.info("stream %s: %s", order.stream, reason)
            if order.page is not None:
                self._note(order, "ended", reason)
                return
            if time.monotonic() - begun > _STEADY_SECONDS:
                backoff.reset()
            self._note(order, "retrying", reason)
            await backoff.wait()

    async def _read(self, order: UrlOrder, attempts: int) -> None:
        if order.page is not None:
            await self._show(order, order.page)
            return
        if rtsp_source.is_rtsp(order.url):
            await self._play(order, attempts)
            return
        process = await self.spare.take()
        try:
            process.order(self._config.height, order.url, private=order.private)
            stream = Stream(order.stream, "url", self._config.instance, self._control, process)
            stream.attempts = attempts
            await self.carry(stream)
        finally:
            await process.close()

    async def _play(self, order: UrlOrder, attempts: int) -> None:
        """Read a stream of an RTSP server, whose content is passed on like an encoder's."""
        async with rtsp_source.opened(order) as source:
            process = await self.spare.take()
            try:
                process.order(self._config.height, sound=source.sound)
                stream = Stream(order.stream, "rtsp", self._config.instance, self._control, process)
                stream.attempts = attempts
                await self.carry(stream, source.feed(stream))
            finally:
                await process.close()

    async def _show(self, order: UrlOrder, view: PageView) -> None:
        """Open a web page, whose picture and sound are passed on like an encoder's."""
        self._note(order, "connecting", "")
        async with web_page.opened(order, self._config.browser or "") as page:
            process = await self.spare.take()
            try:
                process.order(view.height, form=web_page.FORM)
                stream = Stream(order.stream, "page", self._config.instance, self._control, process)
                await self.carry(stream, page.feed(stream))
            finally:
                await process.close()

    def _note(self, order: UrlOrder, phase: StreamPhase, error: str) -> None:
        known = self._last.get(order.stream)
        protocol: StreamProtocol = "url" if order.page is None else "page"
        before = known if known is not None else StreamState(phase="retrying", since=_now(), protocol=protocol)
        self._last[order.stream] = msgspec.structs.replace(before, phase=phase, error=error, since=_now())


def _now() -> int:
    return time.time_ns() // 1_000_000
