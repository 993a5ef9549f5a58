"""The control process: everything is opened here, and closed in the reverse order."""

from collections.abc import Callable

from control.config import ControlConfig


async def run(config: ControlConfig, ready: Callable[[], None]) -> None:
    """Serve until cancelled. `ready` is called once all listeners accept connections.

    Raises OSError when an address cannot be bound, MigrationError when the database does not fit this release.
    """
