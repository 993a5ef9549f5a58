"""The sfu as one coroutine: `run` serves until it is cancelled."""

from collections.abc import Callable

from sfu.server.config import SfuConfig


async def run(config: SfuConfig, ready: Callable[[], None]) -> None:
    """Serve UDP, signaling, HTTP and sinks; calls `ready` once all of them answer and returns after cancellation.

    OSError when a port or the sink socket cannot be bound.
    """
    raise NotImplementedError
