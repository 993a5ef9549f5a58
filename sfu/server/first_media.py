"""From a join to its first media, as spans: what a person waits for. Only joins that are traced are watched."""

import asyncio
from collections.abc import Callable

from foundation import tracing
from foundation.background import cancel_all
from sfu.rooms.node import Node
from sfu.rooms.participant import Participant

_MAX_WATCHED = 100
_LOOK_SECONDS = 0.05  # the precision of a span's end
_PATIENCE_SECONDS = 30.0


class FirstMedia:
    """Watches new participants until packets from them, and to them, have been seen."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, room: str, participant: str, traceparent: str) -> None:
        """Follow a participant that has just joined; nothing without a context."""
        if not traceparent or len(self._tasks) >= _MAX_WATCHED:
            return
        looks = (("sfu.first_packet_in", _has_sent), ("sfu.first_packet_out", self._has_been_sent))
        for name, look in looks:
            span = tracing.start(name, traceparent, meeting=room, participant=participant)
            task = asyncio.create_task(self._until(span, room, participant, look))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Stop watching."""
        await cancel_all(self._tasks)

    async def _until(
        self, span: tracing.Span, room: str, participant: str, look: Callable[[Participant], bool]
    ) -> None:
        error = "none came"
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while (person := self._find(room, participant)) is not None:
                    if look(person):
                        error = ""
                        return
                    await asyncio.sleep(_LOOK_SECONDS)
            error = "left"
        except TimeoutError:
            return
        finally:
            span.end(error)

    def _find(self, room: str, participant: str) -> Participant | None:
        found = self._node.rooms.get(room)
        return found.participants.get(participant) if found is not None else None

    def _has_been_sent(self, person: Participant) -> bool:
        receiving = person.subscription or person.whep_player
        if receiving is None:
            return False
        engine = self._node.context.engine
        downtracks = receiving.subscribe_peer.downtracks.values()
        return any(d.stream is not None and engine.route_state(d.route).packets > 0 for d in downtracks)


def _has_sent(person: Participant) -> bool:
    return person.publish is not None and any(stream.packets for stream in person.publish.streams.values())
