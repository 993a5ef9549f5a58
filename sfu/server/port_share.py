"""A worker's share of a UDP port: the descriptors inherited from the process that starts it."""

import msgspec

ENVIRONMENT = "PARLEY_SFU_PORT_SHARE"


class PortShare(msgspec.Struct, frozen=True):
    """Descriptors by purpose: `sockets` of the port, a socket to the process that started this one (`control`), this
    worker's `inbox`, and the inboxes of the others by number.
    """

    worker: int
    sockets: tuple[int, ...]
    control: int
    inbox: int
    others: dict[int, int]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All descriptors."""
        return (*self.sockets, self.control, self.inbox, *self.others.values())


def encode_share(share: PortShare) -> str:
    """Return the share as text for the environment."""
    return msgspec.json.encode(share).decode()


def decode_share(text: str) -> PortShare:
    """Return what `encode_share` wrote; raises ValueError for anything else."""
    return msgspec.json.decode(text, type=PortShare)
