"""H.264 access units in Annex B from RTP payloads (RFC 6184), every keyframe with its parameter sets."""

import base64
import binascii
from collections.abc import Sequence

from sfu.formats import h264
from sfu.formats.bits import BitReader
from sfu.frames.depacketize import Picture

_START_CODE = b"\0\0\0\1"


class H264Depacketizer:
    """Keeps the stream's newest parameter sets by id; `fmtp` may contain the first ones."""

    needs_marker = False

    def __init__(self, fmtp: str = "") -> None:
        self._sequence_sets: dict[int, bytes] = {}
        self._picture_sets: dict[int, bytes] = {}
        for unit in _parameter_sets(fmtp):
            self._keep(unit)

    def begins_frame(self, payload: bytes) -> bool:
        """Return True for an access unit delimiter or an SPS only, since a slice may follow a lost SEI."""
        first = h264.parse(payload)[0]
        return first.start and first.nal_type in (h264.NAL_AUD, h264.NAL_SPS)

    def join(self, payloads: Sequence[bytes]) -> Picture | None:
        units = _units(payloads)
        for unit in units:
            self._keep(unit)
        kinds = {unit[0] & 0x1F for unit in units}
        if not any(1 <= kind <= h264.NAL_IDR for kind in kinds):
            return None
        if h264.NAL_IDR not in kinds or not self._sequence_sets:
            return Picture(_annex_b(units), False)
        units = self._complete(units, kinds)
        sps = next(unit for unit in units if unit[0] & 0x1F == h264.NAL_SPS)
        try:
            return Picture(_annex_b(units), True, *h264.picture_size(sps))
        except ValueError:
            return Picture(_annex_b(units), True)

    def _complete(self, units: list[bytes], kinds: set[int]) -> list[bytes]:
        """Add the parameter sets that a keyframe lacks: after its own SPS, else at the start after any delimiter."""
        position = 1 if units[0][0] & 0x1F == h264.NAL_AUD else 0
        sets = []
        if h264.NAL_SPS in kinds:
            position = max(index for index, unit in enumerate(units) if unit[0] & 0x1F == h264.NAL_SPS) + 1
        else:
            sets += [self._sequence_sets[key] for key in sorted(self._sequence_sets)]
        if h264.NAL_PPS not in kinds:
            sets += [self._picture_sets[key] for key in sorted(self._picture_sets)]
        return [*units[:position], *sets, *units[position:]]

    def _keep(self, unit: bytes) -> None:
        kind = unit[0] & 0x1F
        if kind == h264.NAL_SPS:
            self._sequence_sets[_set_id(unit[4:], 31)] = unit
        elif kind == h264.NAL_PPS:
            self._picture_sets[_set_id(unit[1:], 255)] = unit


def _units(payloads: Sequence[bytes]) -> list[bytes]:
    """Return the NAL units of an access unit; raises ValueError if a fragmented one has no start or no end."""
    units: list[bytes] = []
    pending: bytearray | None = None
    for payload in payloads:
        for part in h264.parse(payload):
            if part.start != (pending is None):
                raise ValueError("H264 fragment without its start, or a NAL unit without its end")
            if part.start and part.end:
                units.append(part.data)
                continue
            pending = pending if pending is not None else bytearray()
            pending += part.data
            if part.end:
                units.append(bytes(pending))
                pending = None
    if pending is not None:
        raise ValueError("H264 NAL unit has no end")
    return units


def _annex_b(units: list[bytes]) -> bytes:
    return b"".join(_START_CODE + unit for unit in units)


def _set_id(data: bytes, highest: int) -> int:
    """Return the id at the start of a parameter set; raises ValueError if there is none."""
    identifier = BitReader(data[:8]).exp_golomb()
    if identifier > highest:
        raise ValueError("H264 parameter set id does not fit")
    return identifier


def _parameter_sets(fmtp: str) -> list[bytes]:
    """Return the NAL units of sprop-parameter-sets (RFC 6184, section 8.1), without those that do not decode."""
    for parameter in fmtp.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "sprop-parameter-sets":
            return [unit for unit in map(_decode, value.split(",")) if unit]
    return []


def _decode(text: str) -> bytes:
    try:
        unit = base64.b64decode(text, validate=True)
        if unit and unit[0] & 0x1F in (h264.NAL_SPS, h264.NAL_PPS):
            _set_id(unit[4:] if unit[0] & 0x1F == h264.NAL_SPS else unit[1:], 255)
            return unit
    except (ValueError, binascii.Error):
        return b""
    return b""
