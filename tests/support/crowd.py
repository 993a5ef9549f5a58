"""Many publishers of layered cameras in a separate process: `python -m tests.support.crowd URL TOKEN...`.

The first one speaks, the others are silent. Each stops the layers that nobody watches, and nobody receives anything.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence

from sfu.api import signaling
from sfu.formats.header_extensions import AudioLevel
from tests.support.layered_publisher import LAYERS, LayeredRoom, camera_frames

_READY = b"ready\n"
_SPEAKS, _IS_SILENT = AudioLevel(25, True), AudioLevel(127, False)
_APART = 0.1


class _Publisher(LayeredRoom):
    """A publisher who does not answer offers to receive, since receiving costs more than sending."""

    async def _handle(self, message: signaling.ServerMessage) -> None:
        if not isinstance(message, signaling.Offer):
            await super()._handle(message)


async def _publish(url: str, tokens: Sequence[str]) -> None:
    for layer in LAYERS.values():
        camera_frames(*layer)
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as sending:
        for place, token in enumerate(tokens):
            room = await stack.enter_async_context(_Publisher(url, token=token))
            await room.publish_layers(tuple(LAYERS) if place == 0 else ("q", "h"))
            room.level = _IS_SILENT if place else _SPEAKS
            sending.create_task(room.keep_sending())
            await asyncio.sleep(_APART)  # so that they do not all send their pictures at the same time
        sys.stdout.buffer.write(_READY)
        sys.stdout.flush()


@contextlib.asynccontextmanager
async def crowd(url: str, tokens: Sequence[str]) -> AsyncIterator[None]:
    """Run a crowd; the block is entered when all publish. Its priority is high, as if on other machines."""
    process = await asyncio.create_subprocess_exec(
        "nice", "-n", "-10", sys.executable, "-m", "tests.support.crowd", url, *tokens, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line == _READY
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_publish(sys.argv[1], sys.argv[2:]))
