"""An SRTP session for packets of any size: pylibsrtp's buffer holds 1500 bytes, and a server may send more."""

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]  # compiled, without a stub

_BYTES = 65_536  # the largest datagram


class SrtpSession(Session):
    """A `pylibsrtp.Session` with a larger buffer."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._cdata = ffi.new("char[]", _BYTES)
        self._buffer = ffi.buffer(self._cdata)
