"""Settings of control that can change while it runs."""


class Tuning:
    """Current values. `max_participants` limits a room; the sfu has the same setting."""

    def __init__(self, max_participants: int = 200) -> None:
        self.limit_participants(max_participants)

    def limit_participants(self, count: int) -> None:
        """Change the limit of participants per room; those already present stay. Raises ValueError below one."""
        if count < 1:
            raise ValueError("a room must allow at least one participant")
        self.max_participants = count
