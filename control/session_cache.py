"""Cache of sessions by token, for a second: verifying it and querying the database is a third of a short request.

Any change through this process clears it before the response is sent. PostgreSQL notifies of changes by other processes
(control.session_news); they take effect after a second at most. A query result from before such a change is not cached.
"""

import time
from collections import OrderedDict

from control.store.sessions import LiveSession

_SECONDS = 1.0
_MAX = 10_000


class SessionCache:
    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, LiveSession]] = OrderedDict()
        self._generation = 0

    def get(self, token: str) -> LiveSession | None:
        """Return the session of a recently seen token."""
        found = self._known.get(token)
        if found is None or found[0] < time.monotonic():
            return None
        return found[1]

    def begin(self) -> int:
        """Return the generation to pass to `put`. Call it before querying the database."""
        return self._generation

    def put(self, token: str, session: LiveSession, generation: int) -> None:
        """Cache a session, unless something changed since `generation`."""
        if generation != self._generation:
            return
        self._known[token] = (time.monotonic() + _SECONDS, session)
        while len(self._known) > _MAX:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Clear the cache, after any change."""
        self._generation += 1
        self._known.clear()
