"""Values that are read again only if their version has changed."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """The latest known value, with its version."""

    def __init__(self) -> None:
        self._known: tuple[int, Value] | None = None

    async def at(self, version: int, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return the value of a version, which was determined before the value is read."""
        if self._known is None or self._known[0] != version:
            self._known = version, await read()
        return self._known[1]
