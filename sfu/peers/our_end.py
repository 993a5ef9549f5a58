"""Our end of a plain transport or link: which of our sockets it is, and how the far end knows it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OurEnd:
    """Our sockets for a transport, and the address under which the far end knows us. `own`: they are its own."""

    local: int
    rtcp_local: int
    address: str
    port: int
    rtcp_port: int
    own: bool = False

    @property
    def sockets(self) -> tuple[int, ...]:
        return tuple({self.local, self.rtcp_local}) if self.own else ()
