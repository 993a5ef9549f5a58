"""Two SIP user agents, joined by a network that loses and delays messages, in simulated time."""

from collections.abc import Callable
from dataclasses import dataclass, field

from phone.sip.events import Event
from phone.sip.messages import Flow
from phone.sip.user_agent import UserAgent

MS = 1_000_000
SECOND = 1000 * MS
OURS, THEIRS = Flow("udp", "192.0.2.1", 5060), Flow("udp", "192.0.2.2", 5060)
OFFER = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.2\r\n"
ANSWER = OFFER.replace("192.0.2.2", "192.0.2.1")


@dataclass
class Link:
    """`near` is ours, `far` the other; `loses` decides about each message, by its number."""

    near: UserAgent = field(default_factory=lambda: UserAgent(lambda _: (OURS.host, OURS.port)))
    far: UserAgent = field(default_factory=lambda: UserAgent(lambda _: (THEIRS.host, THEIRS.port)))
    loses: Callable[[int], bool] = lambda _: False
    now: int = SECOND
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    events: dict[str, list[Event]] = field(default_factory=lambda: {"near": [], "far": []})
    waiting: list[tuple[int, str, bytes]] = field(default_factory=list)

    def settle(self) -> None:
        for name, agent in (("near", self.near), ("far", self.far)):
            while agent.output:
                _, data = agent.output.popleft()
                self.sent.append((name, data))
                if not self.loses(len(self.sent) - 1):
                    self.waiting.append((self.now + 20 * MS, "far" if name == "near" else "near", data))
            while agent.events:
                self.events[name].append(agent.events.popleft())

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + round(seconds * SECOND)
        self.settle()
        while True:
            times = [at for at, _, _ in self.waiting]
            times += [at for at in (self.near.timer(), self.far.timer()) if at is not None]
            due = max(min(times, default=end), self.now)
            if due >= end:
                break
            self.now = due
            arrived = [one for one in self.waiting if one[0] <= due]
            self.waiting = [one for one in self.waiting if one[0] > due]
            for _, name, data in arrived:
                flow = OURS if name == "far" else THEIRS
                (self.near if name == "near" else self.far).receive(data, flow, due)
            for agent in (self.near, self.far):
                agent.handle_timer(due)
            self.settle()
        self.now = end

    def first_lines(self, name: str) -> list[str]:
        """Return the first lines of what one side has sent."""
        return [data.split(b"\r\n", 1)[0].decode() for sender, data in self.sent if sender == name]

    def kinds(self, name: str) -> list[str]:
        return [type(event).__name__ for event in self.events[name]]
