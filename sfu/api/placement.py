"""A room's placement: its home node, its secondary nodes, and an epoch that only increases.

Control decides it and writes it into the room's desired state and into join tokens. A higher epoch means that the room
has been placed again: a node that holds a lower one drops its room, and control refuses its reports. Adding a secondary
node does not change the epoch, since the room stays where it was.
"""

import msgspec


class Placement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A placement. `node` is the home; `secondaries` hold more participants of the room and get its tracks from the
    home.
    """

    node: str
    epoch: int
    secondaries: tuple[str, ...] = msgspec.field(default=(), name="spilled_to")

    def includes(self, node: str) -> bool:
        """Return True if `node` may hold participants of the room."""
        return node == self.node or node in self.secondaries
