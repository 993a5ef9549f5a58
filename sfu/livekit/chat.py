"""Chat and captions as data packets: text streams, each of one topic; captions are transcriptions, too."""

from collections.abc import Mapping
from types import MappingProxyType

from livekit.protocol import models

from sfu.api import signaling

TOPIC = "lk.chat"
TRANSCRIPTIONS = "lk.transcription"
MAX_STREAMS = 8
MAX_BYTES = 16_384


class ChatReader:
    """Assembles a client's chat messages. Only a few unfinished texts are kept."""

    def __init__(self) -> None:
        self._begun: dict[str, bytes] = {}

    def take(self, packet: "models.DataPacket") -> str | None:
        """Return the text that a packet completes; None if it is not part of chat, or does not end a text."""
        match packet.WhichOneof("value"):
            case "chat_message":
                chat = packet.chat_message
                return None if chat.deleted or chat.edit_timestamp else chat.message
            case "stream_header":
                self._begin(packet.stream_header)
            case "stream_chunk":
                self._go_on(packet.stream_chunk)
            case "stream_trailer":
                said = self._begun.pop(packet.stream_trailer.stream_id, None)
                return None if said is None or packet.stream_trailer.reason else said.decode(errors="replace")
        return None

    def _begin(self, header: "models.DataStream.Header") -> None:
        is_new = header.text_header.operation_type == models.DataStream.OperationType.CREATE
        if header.topic == TOPIC and is_new and len(self._begun) < MAX_STREAMS:
            self._begun[header.stream_id] = header.inline_content[:MAX_BYTES]

    def _go_on(self, chunk: "models.DataStream.Chunk") -> None:
        so_far = self._begun.get(chunk.stream_id)
        if so_far is None:
            return
        if len(so_far) + len(chunk.content) > MAX_BYTES:
            del self._begun[chunk.stream_id]
        else:
            self._begun[chunk.stream_id] = so_far + chunk.content


def chat_packets(message: signaling.Chat, identity: str, sid: str) -> list[bytes]:
    """Return a chat message as the packets of a text stream from `identity`."""
    return [_from(packet, identity, sid) for packet in _text(message.id or "", TOPIC, message.text, message.at or 0)]


def caption_packets(caption: signaling.Caption, identity: str, sid: str, track: str, at: int) -> list[bytes]:
    """Return a caption of `identity`'s track, at `at` (Unix milliseconds), in both of the protocol's forms.

    Clients read either the packet of a transcription, or text streams of a topic, of which each has the whole text.
    """
    segment = models.TranscriptionSegment(
        id=caption.utterance,
        text=caption.text,
        start_time=caption.start_ms,
        end_time=caption.end_ms,
        final=caption.final,
        language=caption.lang,
    )
    said = models.Transcription(transcribed_participant_identity=identity, track_id=track, segments=[segment])
    attributes = {
        "lk.segment_id": caption.utterance,
        "lk.transcribed_track_id": track,
        "lk.transcription_final": "true" if caption.final else "false",
    }
    stream = f"{caption.utterance}-{caption.rev}"
    packets = (
        models.DataPacket(transcription=said),
        *_text(stream, TRANSCRIPTIONS, caption.text, at, attributes),
    )
    return [_from(packet, identity, sid) for packet in packets]


def _text(
    stream: str, topic: str, text: str, at: int, attributes: Mapping[str, str] = MappingProxyType({})
) -> "tuple[models.DataPacket, ...]":
    content = text.encode()
    header = models.DataStream.Header(
        stream_id=stream,
        timestamp=at,
        topic=topic,
        mime_type="text/plain",
        total_length=len(content),
        attributes=attributes,
        text_header=models.DataStream.TextHeader(operation_type=models.DataStream.OperationType.CREATE),
    )
    return (
        models.DataPacket(stream_header=header),
        models.DataPacket(stream_chunk=models.DataStream.Chunk(stream_id=stream, content=content)),
        models.DataPacket(stream_trailer=models.DataStream.Trailer(stream_id=stream)),
    )


def _from(packet: "models.DataPacket", identity: str, sid: str) -> bytes:
    packet.participant_identity, packet.participant_sid = identity, sid
    return packet.SerializeToString()
