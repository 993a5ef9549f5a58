"""Unwraps 16-bit sequence numbers and 32-bit timestamps to 64 bits (RFC 3550, appendix A.1, without its probation)."""


def signed(difference: int, bits: int) -> int:
    """Return the difference of two values of `bits` bits that is nearest to 0, at least -2**(bits-1)."""
    half = 1 << bits - 1
    return (difference + half) % (1 << bits) - half


class Unwrapper:
    """Unwraps each value to the one nearest to the newest so far. `bits` is the width on the wire."""

    __slots__ = ("_half", "_modulus", "newest")

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._half = self._modulus >> 1
        self.newest: int | None = None

    def unwrap(self, value: int) -> int:
        """Return the unwrapped value. The first is unchanged, so earlier ones may be negative."""
        newest = self.newest
        if newest is None:
            self.newest = value
            return value
        difference = (value - newest) % self._modulus
        if difference < self._half:
            self.newest = newest + difference
            return self.newest
        return newest + difference - self._modulus
