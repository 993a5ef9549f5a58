"""An output whose target is slow: others never wait, pictures are dropped up to a keyframe and counted, it resumes."""

import asyncio
import contextlib

from foundation.broadcasts import OutputOrder
from foundation.media_units import Unit, UnitKind
from recorder.broadcast.output import Failed, Output
from recorder.broadcast.rtmp_output import RtmpOutput


class Slow(Output):
    """A target that takes what `open` lets through, and fails when told."""

    kind = "rtmp"

    def __init__(self) -> None:
        super().__init__(OutputOrder(id="o", kind="rtmp"), 0)
        self.open = asyncio.Event()
        self.open.set()
        self.got: list[Unit] = []
        self.fails = False

    async def forget(self) -> None:
        """Do nothing, since nothing is stored."""

    async def hand_over(self) -> None:
        self.is_live()
        while True:
            unit = await self.next()
            await self.open.wait()
            if self.fails:
                self.fails = False
                raise Failed("away")
            self.got.append(unit)
            self.handed(len(unit.data), unit.us)


def picture(index: int) -> Unit:
    return Unit(UnitKind.VIDEO, index % 60 == 0, index * 33_333, b"x" * 1000)


async def test_pictures_are_dropped_to_a_keyframe_and_a_lost_target_is_tried_again() -> None:
    output = Slow()
    task = asyncio.create_task(output.run())
    try:
        await asyncio.sleep(0)
        for index in range(30, 61):
            output.put(picture(index))
        await _until(lambda: len(output.got) == 1)
        assert output.got[0].keyframe  # units before the first keyframe do not count as missing
        assert output.state().dropped == 0
        output.open.clear()
        for index in range(61, 61 + 300):
            output.put(picture(index))
        output.open.set()
        await _until(lambda: not output._waiting)
        resumed = next(
            later for one, later in zip(output.got, output.got[1:], strict=False) if later.us - one.us > 99_999
        )
        assert resumed.keyframe
        assert output.state().dropped > 100
        output.fails = True
        output.put(picture(400))
        await _until(lambda: output.state().phase == "retrying")
        assert (output.state().attempts, output.state().error) == (1, "away")
        await _until(lambda: output.state().phase == "live")
        assert output.state().error == ""
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_address_in_a_private_network_is_not_connected_to() -> None:
    connected: list[object] = []
    server = await asyncio.start_server(lambda *streams: connected.append(streams), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        order = OutputOrder(id="o", kind="rtmp", url=f"rtmp://localhost:{port}/live", key="secret")
        output = RtmpOutput(order, 0)
        task = asyncio.create_task(output.run())
        await _until(lambda: output.state().attempts > 0)
        task.cancel()
    assert output.state().error == "This address is not on the public internet."
    assert connected == []
    assert "secret" not in repr(order)


async def _until(holds: object) -> None:
    async with asyncio.timeout(20):
        while not holds():  # type: ignore[operator]  # a function without arguments
            await asyncio.sleep(0.01)
