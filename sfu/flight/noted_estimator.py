"""An estimator whose input is recorded in the room's flight recorder, so that `replay` can run it again."""

import msgspec

from sfu.flight.recorder import Kind, ParticipantFlight
from sfu.machines.congestion.estimator import Estimator
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary
from sfu.machines.congestion.probes import ProbeCluster


class EstimatorInput(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """One input of an estimator, at a time in ns; `rate` is the estimate afterwards, in bits/s.

    Each kind has `feed`, which passes the input to an estimator.
    """

    at: int
    rate: float


class Began(EstimatorInput, frozen=True, array_like=True, tag=True):
    """A new estimator."""

    def feed(self, estimator: Estimator) -> None:
        return


class Sent(EstimatorInput, frozen=True, array_like=True, tag=True):
    summary: SentSummary

    def feed(self, estimator: Estimator) -> None:
        estimator.sent(self.summary)


class Observed(EstimatorInput, frozen=True, array_like=True, tag=True):
    summary: FeedbackSummary

    def feed(self, estimator: Estimator) -> None:
        estimator.observed(self.summary, self.at)


class ReceiverEstimated(EstimatorInput, frozen=True, array_like=True, tag=True):
    told: float

    def feed(self, estimator: Estimator) -> None:
        estimator.receiver_estimate(self.told, self.at)


class Reported(EstimatorInput, frozen=True, array_like=True, tag=True):
    fraction_lost: float

    def feed(self, estimator: Estimator) -> None:
        estimator.report(self.fraction_lost, self.at)


class MayProbe(EstimatorInput, frozen=True, array_like=True, tag=True):
    wanted: float

    def feed(self, estimator: Estimator) -> None:
        estimator.next_probe(self.wanted, self.at)


class StartEnded(EstimatorInput, frozen=True, array_like=True, tag=True):
    def feed(self, estimator: Estimator) -> None:
        estimator.end_start(self.at)


class Timer(EstimatorInput, frozen=True, array_like=True, tag=True):
    def feed(self, estimator: Estimator) -> None:
        estimator.handle_timer(self.at)


AnyInput = Began | Sent | Observed | ReceiverEstimated | Reported | MayProbe | StartEnded | Timer
_encoder = msgspec.msgpack.Encoder()
_decoder: "msgspec.msgpack.Decoder[AnyInput]" = msgspec.msgpack.Decoder(AnyInput)


def read(data: bytes) -> AnyInput:
    """Return the input in an entry of Kind.ESTIMATOR; raises ValueError."""
    return _decoder.decode(data)


class NotedEstimator(Estimator):
    """An Estimator that records its input."""

    def __init__(self, flight: ParticipantFlight, now: int) -> None:
        super().__init__()
        self._flight = flight
        self._note(Began(now, self.rate))

    def sent(self, summary: SentSummary) -> None:
        super().sent(summary)
        if summary.packets:
            self._note(Sent(summary.last, self.rate, summary))

    def observed(self, summary: FeedbackSummary, now: int) -> None:
        super().observed(summary, now)
        self._note(Observed(now, self.rate, summary))

    def receiver_estimate(self, rate: float, now: int) -> None:
        super().receiver_estimate(rate, now)
        self._note(ReceiverEstimated(now, self.rate, rate))

    def report(self, fraction_lost: float, now: int) -> None:
        super().report(fraction_lost, now)
        self._note(Reported(now, self.rate, fraction_lost))

    def next_probe(self, wanted: float, now: int) -> ProbeCluster | None:
        cluster = super().next_probe(wanted, now)
        if self.has_feedback:  # otherwise no probe is considered
            self._note(MayProbe(now, self.rate, wanted))
        return cluster

    def end_start(self, now: int) -> None:
        super().end_start(now)
        self._note(StartEnded(now, self.rate))

    def handle_timer(self, now: int) -> None:
        before = self.rate
        super().handle_timer(now)
        if self.rate != before:
            self._note(Timer(now, self.rate))

    def _note(self, taken: AnyInput) -> None:
        self._flight.note(taken.at, Kind.ESTIMATOR, _encoder.encode(taken))
