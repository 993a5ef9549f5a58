"""Settings of control that change while it runs."""


class Tuning:
    """`max_participants`: how many a room takes at most. The sfu has the same setting, and changes with it."""

    def __init__(self, max_participants: int = 200) -> None:
        self.limit_participants(max_participants)

    def limit_participants(self, count: int) -> None:
        """Let rooms take so many participants from now on; who is in stays. ValueError below one."""
        if count < 1:
            raise ValueError("a room takes one participant at least")
        self.max_participants = count
