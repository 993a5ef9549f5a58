"""An SRTP session for packets of any size: pylibsrtp's own has room for 1500 bytes, and a server may send more."""

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]  # compiled, without a stub

_BYTES = 65_536  # the largest datagram


class SrtpSession(Session):
    """See `pylibsrtp.Session`, of which it replaces the buffer."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._cdata = ffi.new("char[]", _BYTES)
        self._buffer = ffi.buffer(self._cdata)
