"""Transport-wide feedback to a publisher: arrivals of its packets to messages (sfu.formats.transport_feedback)."""

from sfu.formats.transport_feedback import TransportFeedback


class TwccReceiver:
    """One per publishing peer. Arrivals are reported every `interval` ns, earlier when many have gathered."""

    def __init__(self, sender_ssrc: int, *, interval: int = 50_000_000) -> None:
        raise NotImplementedError

    def received(self, transport_seq: int, arrival: int, media_ssrc: int) -> None:
        """Take the arrival (ns) of a packet with this 16-bit transport-wide seq, duplicates and padding included."""
        raise NotImplementedError

    def due(self, now: int) -> list[TransportFeedback]:
        """Return the feedback to send now, oldest first."""
        raise NotImplementedError

    def timer(self) -> int | None:
        """When `due` has work next, or None."""
        raise NotImplementedError
