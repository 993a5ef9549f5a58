"""Where a room lives: its node, the nodes that it has spilled over to, and an epoch that only grows.

Control decides it and writes it into the room's desired state and into join tokens. A higher epoch means that the room
was placed anew since: a node that holds a lower one drops its room, and control refuses what it still reports. Spilling
over leaves the epoch as it is, since the room goes on where it was.
"""

import msgspec


class Placement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`node` holds the room; those in `spilled_to` hold further participants of it and take its tracks from `node`."""

    node: str
    epoch: int
    spilled_to: tuple[str, ...] = ()

    def includes(self, node: str) -> bool:
        """Whether `node` may hold participants of the room."""
        return node == self.node or node in self.spilled_to
