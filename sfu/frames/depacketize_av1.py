"""AV1 temporal units in low-overhead format from RTP payloads (AV1 RTP payload specification, section 4)."""

from collections.abc import Sequence

from sfu.formats import av1
from sfu.frames.depacketize import Picture

_DROPPED = (av1.OBU_TEMPORAL_DELIMITER, av1.OBU_TILE_LIST)


class Av1Depacketizer:
    needs_marker = False

    def begins_frame(self, payload: bytes) -> bool:
        """Return True for the start of a coded video sequence only, since a frame may follow a lost one of its unit."""
        return av1.is_keyframe_start(payload)

    def join(self, payloads: Sequence[bytes]) -> Picture | None:
        obus = [av1.split_obu(element) for element in _elements(payloads)]
        obus = [obu for obu in obus if obu.kind not in _DROPPED]
        frame = next((obu for obu in obus if obu.kind in (av1.OBU_FRAME, av1.OBU_FRAME_HEADER)), None)
        if frame is None:
            return None
        data = b"".join(map(av1.write_obu, obus))
        sequence = next((obu for obu in obus if obu.kind == av1.OBU_SEQUENCE_HEADER), None)
        if sequence is None or not _is_key(frame.body):
            return Picture(data, False)
        return Picture(data, True, *av1.sequence_size(sequence.header + sequence.body))


def _is_key(body: bytes) -> bool:
    """Return True if a frame header begins with show_existing_frame 0 and frame_type KEY_FRAME (5.9.2)."""
    return bool(body) and body[0] & 0xE0 == 0


def _elements(payloads: Sequence[bytes]) -> list[bytes]:
    """Return the OBUs of a temporal unit, with fragments joined; raises ValueError if one lacks its start or end."""
    elements: list[bytes] = []
    pending = b""
    open_element = False
    for payload in payloads:
        parsed = av1.parse(payload)
        if parsed.continues != open_element:
            raise ValueError("AV1 OBU fragment without its start or its end")
        parts = list(parsed.elements)
        parts[0] = pending + parts[0]
        open_element = parsed.continued
        pending = parts.pop() if open_element else b""
        elements += [part for part in parts if part]
    if open_element:
        raise ValueError("AV1 OBU has no end")
    return elements
