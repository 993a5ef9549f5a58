"""The local endpoint of a plain transport or link: its sockets, and the address that the far end sees."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """Our sockets for a transport, and the address at which the far end reaches them. `own`: no other transport uses
    them.
    """

    local: int
    rtcp_local: int
    address: str
    port: int
    rtcp_port: int
    own: bool = False

    @property
    def sockets(self) -> tuple[int, ...]:
        return tuple({self.local, self.rtcp_local}) if self.own else ()
