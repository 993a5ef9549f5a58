"""Align segments to pages of 4 KiB, so that `strip` removes the padding that patchelf leaves.

Arguments: shared libraries (64-bit, little endian). In a library linked for pages of 2 MiB, patchelf moves segments to
multiples of 2 MiB in the file, which adds some MB of zeros for each.
"""

import struct
import sys
from pathlib import Path

PAGE = 0x1000
LOAD = 1

for name in sys.argv[1:]:
    data = bytearray(Path(name).read_bytes())
    if data[:6] != b"\x7fELF\x02\x01":
        continue
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for entry in range(start, start + size * count, size):
        kind, _, offset, address = struct.unpack_from("<IIQQ", data, entry)
        (alignment,) = struct.unpack_from("<Q", data, entry + 48)
        if kind == LOAD and alignment > PAGE and (offset - address) % PAGE == 0:
            struct.pack_into("<Q", data, entry + 48, PAGE)
    Path(name).write_bytes(data)
