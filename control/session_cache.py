"""Who a token stands for, remembered for a second: to verify it and ask the database is a third of a short request.

Whatever changes anything through this process empties it before its answer is out; what another process changes is
told by PostgreSQL (control.session_news), and holds here a second later at the latest. An answer of the database from
before such a change is not kept.
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
        """Return the session of a token that was seen a moment ago."""
        found = self._known.get(token)
        if found is None or found[0] < time.monotonic():
            return None
        return found[1]

    def begin(self) -> int:
        """Return what `put` must be given: call it before the database is asked."""
        return self._generation

    def put(self, token: str, session: LiveSession, generation: int) -> None:
        """Remember a session, unless something changed since `generation`."""
        if generation != self._generation:
            return
        self._known[token] = (time.monotonic() + _SECONDS, session)
        while len(self._known) > _MAX:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Something changed: a session, an account, anything."""
        self._generation += 1
        self._known.clear()
