"""Settings of control that change while it runs."""


class Tuning:
    """Settings that can change at run time. `max_participants` bounds a room; the sfu has the same setting."""

    def __init__(self, max_participants: int = 200) -> None:
        self.limit_participants(max_participants)

    def limit_participants(self, count: int) -> None:
        """Change the limit of participants per room; present ones stay. Raises ValueError below one."""
        if count < 1:
            raise ValueError("a room must allow at least one participant")
        self.max_participants = count
