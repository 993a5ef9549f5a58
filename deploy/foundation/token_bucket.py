"""A token bucket: how many actions a remote party may take per second, with a burst."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """`rate` tokens a second, at most `burst`; starts full. Times are nanoseconds."""

    rate: float
    burst: float
    tokens: float = -1.0
    updated: int = 0

    def take(self, now: int, amount: float = 1.0) -> bool:
        """Take `amount` tokens if they are there."""
        if self.tokens < 0:
            self.tokens = self.burst
        else:
            self.tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate / 1e9)
        self.updated = now
        if self.tokens < amount:
            return False
        self.tokens -= amount
        return True
