"""The recorder process: attach to the sfu for ever, finish what has ended, report it."""

from collections.abc import Callable

from recorder.config import RecorderConfig


async def run(config: RecorderConfig, ready: Callable[[], None]) -> None:
    """Record what the sfu offers until cancelled; `ready` is called once unfinished recordings were looked at.

    Cancellation seals the open segments and returns; what was not finished then is finished by the next start. OSError
    when the recordings directory cannot be used.
    """
    raise NotImplementedError
