"""The inference process: taps consented audio at the sfu's sink socket, returns captions."""

import asyncio
from collections.abc import Callable

from inference.config import InferenceConfig


async def run(config: InferenceConfig, ready: Callable[[], None]) -> None:
    """Serve until cancelled; call `ready` once the process serves (with or without models, with or without an sfu)."""
    del config
    ready()
    await asyncio.Event().wait()
