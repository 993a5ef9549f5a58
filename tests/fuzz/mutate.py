"""Random mutations of a corpus: flipped bits, extreme values, cuts, repeats and splices."""

import random

_EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_LONGEST = 16384


def mutate(corpus: list[bytes], dice: random.Random) -> bytes:
    """Return a new input made from one or two inputs in the corpus."""
    data = bytearray(dice.choice(corpus))
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        _change(data, corpus, dice)
    return bytes(data[:_LONGEST])


def _change(data: bytearray, corpus: list[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    end = min(len(data), at + dice.choice((1, 1, 2, 4, 8, 64)))
    match dice.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        case 1 if at < len(data):
            data[at] = dice.choice(_EXTREMES)
        case 2 if at < len(data):
            data[at] = dice.randrange(256)
        case 3:
            del data[at:end]
        case 4:
            data[at:at] = data[at:end]
        case 5:
            data[at:at] = dice.randbytes(dice.choice((1, 2, 4, 16)))
        case 6:
            other = dice.choice(corpus)
            data[at:] = other[dice.randrange(len(other) + 1) :]
        case _:
            del data[at:]
