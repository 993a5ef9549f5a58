"""A token bucket: limits the actions of a remote party per second, with a burst."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """A bucket that gets `rate` tokens a second, holds at most `burst`, and starts full. Times are in nanoseconds."""

    rate: float
    burst: float
    tokens: float = -1.0
    updated: int = 0

    def take(self, now: int, amount: float = 1.0) -> bool:
        """Take `amount` tokens; return False if there are fewer."""
        if self.tokens < 0:
            self.tokens = self.burst
        else:
            self.tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate / 1e9)
        self.updated = now
        if self.tokens < amount:
            return False
        self.tokens -= amount
        return True

    def give_back(self, amount: float = 1.0) -> None:
        """Return tokens that were taken for something that then was not done."""
        self.tokens += amount
