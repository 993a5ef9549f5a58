"""The queue between a reporter of facts and control: numbered, bounded, delivered in order and at least once.

Sans-IO: the owner POSTs `batch()` to `/internal/v1/facts` and hands the answer to `answered`, or calls `unanswered`;
then it waits `delay` seconds. A batch that control refuses as invalid (400, 413, 422) would be refused forever, so it
is dropped, and later facts get through. After any other failure the batch is sent again under the same number.
"""

from collections import deque
from typing import Generic, TypeVar

import msgspec

from sfu.api.facts import AnyFact, FactAcknowledgement, FactBatch

Note = TypeVar("Note")
MAX_WAITING = 20_000
MAX_BATCH = 200
FIRST_DELAY_SECONDS = 0.2
MAX_DELAY_SECONDS = 5.0
REFUSALS = frozenset({400, 413, 422})


class Settled(msgspec.Struct, Generic[Note], frozen=True):
    """The outcome of a batch: the notes of its facts, and whether control accepted them."""

    notes: list[Note]
    acknowledged: bool


class FactQueue(Generic[Note]):
    """Keeps facts until control has acknowledged them, each with a note from its owner. Beyond `max_waiting` the oldest
    are dropped.
    """

    def __init__(self, node: str, boot: str, max_waiting: int = MAX_WAITING) -> None:
        self._node = node
        self._boot = boot
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[AnyFact, Note]] = deque()
        self._batch: FactBatch | None = None
        self._notes: list[Note] = []
        self._n = 0
        self.delay = 0.0  # seconds to wait before the next attempt
        self.problem = ""  # why the last attempt failed

    @property
    def waiting(self) -> int:
        """The number of facts that are not settled."""
        return len(self._waiting) + len(self._notes)

    def put(self, fact: AnyFact, note: Note) -> list[Note]:
        """Queue a fact; returns the notes of those dropped from a full queue."""
        self._waiting.append((fact, note))
        excess = max(0, len(self._waiting) - self._max_waiting)
        return [self._waiting.popleft()[1] for _ in range(excess)]

    def batch(self) -> FactBatch | None:
        """Return the batch to deliver: the one in flight, else the next; None if no fact waits."""
        if self._batch is None and self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            self._n += 1
            self._notes = [note for _, note in taken]
            self._batch = FactBatch(node=self._node, boot=self._boot, n=self._n, facts=[fact for fact, _ in taken])
        return self._batch

    def answered(self, status: int, body: bytes) -> Settled[Note] | None:
        """Take control's answer to the batch in flight; return None if the batch must be sent again."""
        assert self._batch is not None
        if status in REFUSALS:
            self.problem = f"refused with {status}: {body[:200]!r}"
            return self._settle(False)
        if problem := self._problem_with(self._batch, status, body):
            self.unanswered(problem)
            return None
        self.problem = ""
        return self._settle(True)

    @staticmethod
    def _problem_with(batch: FactBatch, status: int, body: bytes) -> str:
        if status != 200:
            return f"HTTP status {status}"
        try:
            acknowledged = msgspec.json.decode(body, type=FactAcknowledgement).acknowledged
        except ValueError as error:
            return f"unexpected reply: {error}"
        return "" if acknowledged >= batch.n else f"acknowledged {acknowledged} instead of {batch.n}"

    def unanswered(self, problem: str) -> None:
        """Note that the batch in flight was not answered; it is sent again after `delay`."""
        self.problem = problem
        self.delay = min(max(2 * self.delay, FIRST_DELAY_SECONDS), MAX_DELAY_SECONDS)

    def _settle(self, acknowledged: bool) -> Settled[Note]:
        settled = Settled(self._notes, acknowledged)
        self._batch, self._notes, self.delay = None, [], 0.0
        return settled
