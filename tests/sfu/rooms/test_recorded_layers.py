"""A recording of a camera whose highest layer starts and stops: no picture is missing that could be had."""

from itertools import pairwise

from sfu.api import signaling
from sfu.api.desired_state import DesiredRecording, DesiredState
from sfu.api.sink_records import KeyframeWanted, PacketRecord, SinkHello, TrackClosed, TrackOpened, decode
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame, FrameAssembler
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS, SECOND
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)
RECORDING = DesiredRecording(recording="rec-1", started_at=1, started_by="p0", consent_text="text-1")
_CLOCK = 90_000


class RecordedCall(Call):
    """A recorder is attached, which wants a keyframe of each stream until it has one."""

    def __init__(self) -> None:
        super().__init__(WIDE)
        (self.camera,) = self.cameras
        node = self.stage.node
        self._sink = node.sinks.attach(SinkHello(sink="recorder", instance="one"), self.stage.now)
        node.apply(DesiredState(room="r", version=1, recording=RECORDING), self.stage.now)
        self.stage.say(self.camera.person, signaling.Consent(text="text-1", recording=True))
        self.pictures: list[tuple[float, int]] = []
        """The seconds of the camera's clock at each picture that can be decoded, and its handle."""
        self.open: list[int] = []
        self._frames: dict[int, FrameAssembler] = {}
        self._decodable: set[int] = set()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            super().run(0.099)
            self._record()

    def _record(self) -> None:
        while (data := self._sink.queue.peek()) is not None:
            self._sink.queue.pop()
            record = decode(data)
            if isinstance(record, TrackOpened) and record.media == "video":
                self._frames[record.handle] = FrameAssembler(Codec.VP8, max_wait=SECOND)
                self.open.append(record.handle)
            elif isinstance(record, TrackClosed) and record.handle in self.open:
                self.open.remove(record.handle)
            elif isinstance(record, PacketRecord) and record.handle in self._frames:
                assembled = self._frames[record.handle].push(record.ext_seq, record.arrival, record.rtp)
                self._take(record.handle, [frame for frame in assembled if isinstance(frame, Frame)])
        for handle in self.open:
            if handle not in self._decodable:
                wanted = KeyframeWanted(handle=handle)
                self.stage.node.sink_control.handle(self._sink, wanted, self.stage.now)

    def _take(self, handle: int, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.keyframe:
                self._decodable.add(handle)
            if handle in self._decodable:
                self.pictures.append((frame.timestamp / _CLOCK, handle))

    @property
    def longest_gap(self) -> float:
        """The longest time without a picture (s)."""
        at = sorted(second for second, _ in self.pictures)
        return max(later - earlier for earlier, later in pairwise(at))

    @property
    def copied(self) -> list[str]:
        """The rids of the layers that are copied now."""
        return [self.stage.node.sinks.taps[handle].stream.rid for handle in self.open]


def test_the_layer_below_is_kept_until_a_higher_one_can_be_decoded() -> None:
    call = RecordedCall()
    call.camera.resting = {"f"}
    call.run(8)
    call.camera.resting = set()
    call.run(12)
    assert call.copied == ["f"]
    assert call.longest_gap < 0.05


def test_a_layer_that_stops_is_left_at_once() -> None:
    call = RecordedCall()
    call.run(8)
    call.camera.resting = {"f"}
    call.run(8)
    assert call.copied == ["h"]
    assert call.longest_gap < 0.4


def test_a_layer_that_only_comes_for_a_moment_costs_nothing() -> None:
    call = RecordedCall()
    call.camera.resting = {"f"}
    call.run(8)
    call.camera.resting = set()
    for _ in range(100):
        if len(call.copied) > 1:
            break
        call.run(0.1)
    assert call.copied == ["h", "f"]
    call.camera.resting = {"f"}
    call.run(8)
    assert call.copied == ["h"]
    assert call.longest_gap < 0.05
