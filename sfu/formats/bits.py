"""Reading of bit fields, most significant bit first, with the variable-length codes of H.264 and AV1."""


class BitReader:
    """Reads from the start of `data`; raises ValueError past the end."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    @property
    def left(self) -> int:
        """The number of bits not read yet."""
        return self._left

    def read(self, count: int) -> int:
        """Return the next `count` bits as an unsigned integer."""
        self._left -= count
        if self._left < 0:
            raise ValueError("bit field runs past the data")
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        return self.read(1) == 1

    def exp_golomb(self) -> int:
        """Return an unsigned Exp-Golomb code, ue(v) (H.264, section 9.1) and uvlc (AV1, section 4.10.3)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("Exp-Golomb code is too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_exp_golomb(self) -> int:
        """Return a signed Exp-Golomb code, se(v)."""
        code = self.exp_golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def non_symmetric(self, count: int) -> int:
        """Return an integer in 0..count-1 coded as ns(count) (AV1, section 4.10.7)."""
        width = count.bit_length()
        short = (1 << width) - count
        value = self.read(width - 1)
        if value < short:
            return value
        return (value << 1) - short + self.read(1)
