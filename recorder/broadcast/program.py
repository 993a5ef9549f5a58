"""One broadcast: a process composes it, outputs deliver it, and control sets the outputs and gets their status.

Without control, a broadcast continues until the sfu ends it.
"""

import asyncio
import logging
import time
from pathlib import Path

import aiohttp
import msgspec

from foundation.background import cancel_all, keep_running
from foundation.broadcasts import (
    LIVE_PREFIX,
    BroadcastOrders,
    BroadcastReport,
    OutputOrder,
)
from foundation.failures import describe
from foundation.media_units import Unit, UnitKind
from objects.threads import Objects
from recorder import layout, leases, metrics
from recorder.broadcast.bucket_images import BucketImages
from recorder.broadcast.bucket_segments import BucketSegments
from recorder.broadcast.composer import Composer
from recorder.broadcast.hls_output import HlsOutput
from recorder.broadcast.image_output import ImageOutput
from recorder.broadcast.ordered_views import ordered_views, source
from recorder.broadcast.output import Output
from recorder.broadcast.rtmp_output import RtmpOutput
from recorder.broadcast.srt_output import SrtOutput
from recorder.broadcast.websocket_output import WebSocketOutput
from recorder.config import RecorderConfig
from sfu.api.sink_records import BroadcastStarted

_log = logging.getLogger(__name__)
_REPORT_SECONDS = 1.0


class Program:
    """Runs until it is cancelled or control ends it. `places` limits the number of broadcasts composed at once."""

    def __init__(
        self,
        config: RecorderConfig,
        begun: BroadcastStarted,
        sink_socket: Path,
        *,
        objects: Objects,
        session: aiohttp.ClientSession,
        places: asyncio.Semaphore,
    ) -> None:
        self.begun = begun
        self.sink_socket = sink_socket
        self._config = config
        self._objects = objects
        self._session = session
        self._zero = time.monotonic_ns()
        self._orders = BroadcastOrders(held=True)
        self._outputs: dict[str, tuple[Output, asyncio.Task[None]]] = {}
        self._setup: dict[str, dict[UnitKind, Unit]] = {}
        self._composer = Composer(config.instance, self._zero, places, self._take)
        self._ended: list[Output] = []
        self._forgetting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run the broadcast; return when it is over."""
        metrics.BROADCASTS.inc()
        composing: asyncio.Task[None] | None = None
        try:
            while await self._report():
                await self._follow_orders()
                if composing is None or composing.done() or composing.get_name() != str(self.sink_socket):
                    composing = await self._compose_anew(composing)
                await asyncio.sleep(_REPORT_SECONDS)
            _log.info("broadcast %s is over", self.begun.broadcast)
        finally:
            # The sfu's word that the broadcast is over may cancel this a second time.
            metrics.BROADCASTS.dec()
            metrics.note_outputs(self.begun.broadcast, [])
            tasks = [task for _, task in self._outputs.values()]
            self._ended += [output for output, _ in self._outputs.values()]
            self._outputs.clear()
            await cancel_all([*tasks, *([composing] if composing is not None else [])])

    async def forget(self) -> None:
        """Delete the outputs' stored objects after a while."""
        forgetting = (output.forget() for output in self._ended)
        await asyncio.gather(*forgetting, *self._forgetting, return_exceptions=True)

    async def _compose_anew(self, composing: asyncio.Task[None] | None) -> asyncio.Task[None]:
        if composing is not None:
            await cancel_all([composing])
        return asyncio.create_task(self._composer.run(self.begun, self.sink_socket), name=str(self.sink_socket))

    async def _report(self) -> bool:
        """Report to control and apply its orders; return False if the broadcast is over."""
        states = {name: output.state() for name, (output, _) in self._outputs.items()}
        report = BroadcastReport(
            instance=leases.file_name(self._config.instance),
            placement=self.begun.placement,
            people=self._composer.people,
            pictures=self._composer.pictures,
            left_out=self._composer.left_out,
            problem=self._composer.problem,
            outputs=states,
        )
        metrics.note_outputs(self.begun.broadcast, [*states.values()])
        url = f"{self._config.control_url.rstrip('/')}/internal/v1/broadcasts/{self.begun.broadcast}/report"
        try:
            async with self._session.post(url, data=msgspec.json.encode(report)) as answer:
                answer.raise_for_status()
                self._orders = msgspec.json.decode(await answer.read(), type=BroadcastOrders)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            _log.debug("control did not answer the report on broadcast %s: %s", self.begun.broadcast, describe(error))
        return self._orders.held

    async def _follow_orders(self) -> None:
        """Start and stop outputs, and have the views made that they show."""
        views = ordered_views(self._orders)
        self._composer.make(views)
        self._setup = {view.name: self._setup.get(view.name, {}) for view in views.views}
        wanted = {order.id: order for order in self._orders.outputs}
        for name, (output, task) in list(self._outputs.items()):
            if wanted.get(name) != output.order:
                await cancel_all([task])
                del self._outputs[name]
                forgetting = asyncio.create_task(output.forget())
                self._forgetting.add(forgetting)
                forgetting.add_done_callback(self._forgetting.discard)
        for name, order in wanted.items():
            if name not in self._outputs:
                output = self._output(order)
                for setup in self._setup.get(source(order), {}).values():
                    output.put(setup)
                self._outputs[name] = output, asyncio.create_task(keep_running("broadcast output", output.run))

    def _output(self, order: OutputOrder) -> Output:
        if order.kind == "rtmp":
            return RtmpOutput(order, self._zero)
        if order.kind == "srt":
            return SrtOutput(order, self._zero)
        if order.kind == "websocket":
            return WebSocketOutput(order, self._zero)
        if order.view.folder is not None:
            return BucketImages(order, self._zero) if order.kind == "images" else BucketSegments(order, self._zero)
        if order.kind == "images":
            return ImageOutput(order, self._zero, self._objects)
        prefix = f"{LIVE_PREFIX}{leases.file_name(self._config.instance)}/{layout.identifier(order.id)}/"
        return HlsOutput(order, self._zero, self._objects, prefix)

    def _take(self, outputs: str, unit: Unit) -> None:
        """Put a unit into the outputs that it is for."""
        if unit.kind in {UnitKind.VIDEO_SETUP, UnitKind.AUDIO_SETUP}:
            self._setup.setdefault(outputs, {})[unit.kind] = unit
        for output, _ in self._outputs.values():
            if source(output.order) == outputs:
                output.put(unit)
