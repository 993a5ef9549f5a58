"""AMF0 (Adobe's Action Message Format): the values of RTMP's commands. Numbers, booleans, strings, objects, null,
undefined, arrays and dates; what else exists is refused.
"""

import struct

Value = float | bool | str | None | list["Value"] | dict[str, "Value"]
_NUMBER = struct.Struct("!d")
_NUMBER_MARK, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_ECMA_ARRAY, _END, _STRICT_ARRAY, _DATE, _LONG_STRING = 8, 9, 10, 11, 12
_MAX_DEPTH = 8
_MAX_VALUES = 512


def encode(*values: Value) -> bytes:
    """Return values one after another."""
    return b"".join(map(_encode, values))


def _encode(value: Value) -> bytes:
    match value:
        case bool():
            return bytes((_BOOLEAN, value))
        case int() | float():
            return bytes((_NUMBER_MARK,)) + _NUMBER.pack(value)
        case str():
            return bytes((_STRING,)) + _name(value)
        case None:
            return bytes((_NULL,))
        case list():
            return bytes((_STRICT_ARRAY,)) + len(value).to_bytes(4, "big") + encode(*value)
        case dict():
            fields = b"".join(_name(name) + _encode(one) for name, one in value.items())
            return bytes((_OBJECT,)) + fields + b"\0\0" + bytes((_END,))


def _name(text: str) -> bytes:
    data = text.encode()[:0xFFFF]
    return len(data).to_bytes(2, "big") + data


def decode(data: bytes) -> list[Value]:
    """Return all values; raises ValueError."""
    reader = _Reader(data)
    values = []
    while reader.left:
        values.append(reader.value(0))
    return values


class _Reader:
    """A place in encoded values. `_budget` bounds how many there may be."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._budget = _MAX_VALUES

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def value(self, depth: int) -> Value:
        self._budget -= 1
        if depth > _MAX_DEPTH or self._budget < 0:
            raise ValueError("AMF0 values are too deep, or too many")
        mark = self._take(1)[0]
        if mark in {_NUMBER_MARK, _DATE}:
            number: float = _NUMBER.unpack(self._take(8))[0]
            self._take(2 if mark == _DATE else 0)
            return number
        if mark == _BOOLEAN:
            return bool(self._take(1)[0])
        if mark in {_STRING, _LONG_STRING}:
            return self._text(2 if mark == _STRING else 4)
        if mark in {_NULL, _UNDEFINED}:
            return None
        if mark in {_OBJECT, _ECMA_ARRAY}:
            self._take(4 if mark == _ECMA_ARRAY else 0)
            return self._fields(depth)
        if mark == _STRICT_ARRAY:
            return [self.value(depth + 1) for _ in range(min(self._number(4), _MAX_VALUES + 1))]
        raise ValueError(f"AMF0 marker {mark} is not supported")

    def _fields(self, depth: int) -> Value:
        fields: dict[str, Value] = {}
        while True:
            name = self._text(2)
            if not name and self.left and self._data[self._at] == _END:
                self._take(1)
                return fields
            fields[name] = self.value(depth + 1)

    def _text(self, size: int) -> str:
        return self._take(self._number(size)).decode(errors="replace")

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _take(self, count: int) -> bytes:
        if self.left < count:
            raise ValueError("AMF0 value is truncated")
        self._at += count
        return self._data[self._at - count : self._at]
