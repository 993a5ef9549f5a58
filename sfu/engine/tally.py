"""Counters of an engine: totals, and drops by reason."""

from sfu.engine.contract import Drop


class Tally:
    def __init__(self) -> None:
        self.drops: dict[Drop, int] = dict.fromkeys(Drop, 0)
        self.datagrams_in = self.bytes_in = 0
        self.datagrams_out = self.bytes_out = 0
        self.overflows = 0  # the number of times that a socket dropped unread datagrams
        self.forwarded = self.retransmitted = self.recovered = self.packets_in = 0

    def drop(self, reason: Drop, packets: int = 1) -> None:
        self.drops[reason] += packets

    @property
    def counters(self) -> dict[str, int]:
        return {
            "datagrams_in": self.datagrams_in,
            "bytes_in": self.bytes_in,
            "datagrams_out": self.datagrams_out,
            "bytes_out": self.bytes_out,
            "forwarded": self.forwarded,
            "retransmitted": self.retransmitted,
            "recovered": self.recovered,
        }
