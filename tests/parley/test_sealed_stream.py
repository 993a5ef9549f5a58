"""Encrypted streams: any length comes back, and nothing that was changed, cut, exchanged or reordered does."""

import io
import os
from collections.abc import Callable

import pytest

from parley.sealed_stream import CHUNK, SALT_BYTES, NotAuthentic, seal, unseal

KEY = bytes(range(32))
STORED = CHUNK + 16


def opened(stream: bytes, name: str = "1", key: bytes = KEY) -> bytes:
    return b"".join(unseal(key, name, io.BytesIO(stream).read))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_any_length_comes_back(size: int) -> None:
    data = os.urandom(size)
    pieces = [data[place : place + 300_001] for place in range(0, size, 300_001)]
    sealed = b"".join(seal(KEY, "1", pieces))
    assert opened(sealed) == data
    assert data[:64] not in sealed[SALT_BYTES:] or size < 16


def exchanged(stream: bytes) -> bytes:
    first, second = (stream[SALT_BYTES + n * STORED : SALT_BYTES + (n + 1) * STORED] for n in (0, 1))
    return stream[:SALT_BYTES] + second + first + stream[SALT_BYTES + 2 * STORED :]


@pytest.mark.parametrize(
    "change",
    [
        lambda stream: stream[:-1],
        lambda stream: stream[: SALT_BYTES + STORED],  # whole chunks are missing at the end
        lambda stream: stream[: SALT_BYTES + 2 * STORED],
        lambda stream: stream + b"x",
        lambda stream: bytes([stream[0] ^ 1]) + stream[1:],
        lambda stream: stream[:-1] + bytes([stream[-1] ^ 1]),
        exchanged,
        lambda stream: stream[:SALT_BYTES],
        lambda stream: b"",
    ],
)
def test_changes_are_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotAuthentic):
        opened(change(b"".join(seal(KEY, "1", [os.urandom(2 * CHUNK + 5)]))))


def test_streams_belong_to_their_name_and_key() -> None:
    sealed = b"".join(seal(KEY, "1", [b"data"]))
    for name, key in (("2", KEY), ("1", KEY[::-1])):
        with pytest.raises(NotAuthentic):
            opened(sealed, name, key)
