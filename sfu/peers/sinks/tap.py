"""One stream copied to a sink: its handle, its description for the sink and, if it is recorded, its replay buffer."""

from enum import IntEnum

from sfu.api.sink_records import PacketRecord, SenderReportRecord, TrackOpened
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.sinks.replay_buffer import ReplayBudget, ReplayBuffer


class Purpose(IntEnum):
    """The purpose of a sink; the value is its id in the engine's table."""

    RECORDER = 0
    INFERENCE = 1
    BROADCAST = 3
    """One for each room; 2 is the transcoder (sfu.rooms.transcoding)."""


Audience = tuple[Purpose, str]
"""A purpose, and the room that a sink for a broadcast is for."""


class Tap:
    """A stream of an uptrack that is copied to the sink of a purpose; `budget` bounds replays to recorders."""

    def __init__(
        self, purpose: Purpose, opened: TrackOpened, uptrack: UpTrack, stream: IngressStream, budget: ReplayBudget
    ) -> None:
        self.purpose = purpose
        self.opened = opened
        self.uptrack = uptrack
        self.stream = stream
        self.buffer = ReplayBuffer(budget) if purpose is Purpose.RECORDER else None
        self.closed_reason: str | None = None

        self.audience: Audience = purpose, opened.room if purpose is Purpose.BROADCAST else ""

    @property
    def handle(self) -> int:
        return self.opened.handle

    def keep(self, record: PacketRecord | SenderReportRecord) -> None:
        if self.buffer is not None:
            self.buffer.put(record)
