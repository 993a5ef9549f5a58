"""The worker that analyses pictures and voices: sink records and Speech in, observations out.

Started as `python -m inference.analysis_worker FD FACES_DIRECTORY NICE WANTED` with a Unix stream socket at FD; WANTED
lists `emotion`, `crops`. Like the decode worker, it has no network, no secrets and no files. It gets video tracks and
the speech of microphones, only of participants who consent to analysis. It ends when its socket closes.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from foundation import confinement
from inference import messages
from inference.analysis.looking import Looker
from inference.analysis.pictures import TrackPictures
from inference.files.file_worker import load_everything
from inference.workers.loop import confined_channel, serve
from sfu.api import sink_records
from sfu.api.sink_records import MissedRecord, PacketRecord, TrackClosed, TrackOpened

MEMORY_BYTES = 3 << 30
MAX_TRACKS = 500
MAX_UTTERANCES = 500
LONGEST_BYTES = 30 * 32_000
_MILLISECOND = 1_000_000
_RECORDS = frozenset(sink_records.RecordType)


class Analyst:
    """State of all tracks of a worker. Times are CLOCK_MONOTONIC ns."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._tracks: dict[int, tuple[TrackOpened, TrackPictures]] = {}
        self._said: dict[tuple[int, int], bytearray] = {}
        self._counts: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()

    def take(self, content: bytes) -> list[messages.AnyMessage]:
        """Process a frame from the parent process: a sink record, or Speech."""
        try:
            if content and content[0] in _RECORDS:
                self._record(sink_records.decode(content))
                return []
            message = messages.decode(content)
        except ValueError:
            self._drops["malformed"] += 1
            return []
        return self._speech(message) if isinstance(message, messages.Speech) else []

    def tick(self, now: int) -> list[messages.AnyMessage]:
        """Analyse the pictures that are due."""
        out: list[messages.AnyMessage] = []
        for handle, (opened, pictures) in self._tracks.items():
            if (picture := pictures.sample(now)) is not None:
                faces = self._looker.look(picture.image)
                self._counts["pictures"] += 1
                self._counts["faces"] += len(faces)
                at_ms = max(0, (picture.arrival - opened.opened_at) // _MILLISECOND)
                out.append(messages.PictureSeen(handle=handle, at_ms=at_ms, faces=faces))
            if pictures.wants_keyframe(now):
                out.append(messages.AskKeyframe(handle=handle))
        return out

    def counts(self) -> messages.AnalysisCounts:
        """Return and reset the counters."""
        for _, pictures in self._tracks.values():
            self._drops["undecodable"] += pictures.undecodable
            self._drops["not_looked_at"] += pictures.skipped
            pictures.undecodable = pictures.skipped = 0
        report = messages.AnalysisCounts(
            pictures=self._counts["pictures"], faces=self._counts["faces"], drops=dict(self._drops)
        )
        self._counts.clear()
        self._drops.clear()
        return report

    def _record(self, record: sink_records.AnyRecord) -> None:
        match record:
            case PacketRecord(handle, ext_seq, arrival, rtp) if handle in self._tracks:
                self._tracks[handle][1].push(ext_seq, arrival, rtp)
            case MissedRecord(handle, first, count) if handle in self._tracks:
                self._tracks[handle][1].missed(first, count)
            case TrackOpened(media="video"):
                self._open(record)
            case TrackClosed(handle=handle):
                self._tracks.pop(handle, None)
                for key in [key for key in self._said if key[0] == handle]:
                    del self._said[key]
            case _:
                pass  # no packets arrive during a mute

    def _open(self, opened: TrackOpened) -> None:
        if len(self._tracks) >= MAX_TRACKS:
            self._drops["too_many_tracks"] += 1
            return
        try:
            self._tracks[opened.handle] = opened, TrackPictures(opened.codec, opened.fmtp)
        except ValueError:
            self._drops["codec"] += 1

    def _speech(self, speech: messages.Speech) -> list[messages.AnyMessage]:
        key = (speech.handle, speech.begin)
        if key not in self._said and len(self._said) >= MAX_UTTERANCES:
            self._drops["too_many_utterances"] += 1
            return []
        said = self._said.setdefault(key, bytearray())
        said += speech.pcm[: max(0, LONGEST_BYTES - len(said))]
        if not speech.final:
            return []
        del self._said[key]
        cues = None if speech.discard else self._looker.listen(bytes(said[: speech.samples * 2]))
        if cues is None:
            return []
        return [messages.VoiceHeard(handle=speech.handle, start_ms=speech.start_ms, end_ms=speech.end_ms, cues=cues)]


def main(arguments: list[str]) -> None:
    """Run the worker until its socket closes."""
    descriptor, directory, nice, wanted = int(arguments[0]), Path(arguments[1]), int(arguments[2]), arguments[3]
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    looker = Looker(directory, emotion="emotion" in wanted, crops="crops" in wanted)
    load_everything()
    looker.look(np.zeros((64, 64, 3), np.uint8))
    looker.listen(bytes(64_000))
    for codec in ("VP8", "VP9", "H264", "AV1"):
        TrackPictures(codec)
    with confined_channel(descriptor) as channel:
        serve(channel, Analyst(looker))


if __name__ == "__main__":
    main(sys.argv[1:])
