"""Which partitions topics have: looked up beside sending, and remembered; a missing topic for half a minute.

Asking for a topic makes it where the brokers make topics by themselves.
"""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from foundation.failures import describe

_LOOK_SECONDS = 3.0
_MISSING_SECONDS = 30.0


class Topics:
    """What one producer has learnt."""

    def __init__(self) -> None:
        self._partitions: dict[str, list[int]] = {}
        self._missing: dict[str, tuple[float, str]] = {}
        self._looking: dict[str, tuple[float, asyncio.Task[None]]] = {}

    def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic, none while they are not known."""
        return self._partitions.get(topic, [])

    def missing(self, topic: str) -> str | None:
        """Return why a topic cannot be had; None when it can, or nobody knows yet."""
        until, reason = self._missing.get(topic, (0.0, None))
        return reason if asyncio.get_running_loop().time() < until else None

    def look(self, producer: AIOKafkaProducer, topic: str) -> None:
        """Have a topic looked up, unless that is under way or was done."""
        if topic not in self._partitions and topic not in self._looking and self.missing(topic) is None:
            task = asyncio.create_task(self._look(producer, topic))
            self._looking[topic] = asyncio.get_running_loop().time(), task

    def looking(self, since: float) -> set[asyncio.Task[None]]:
        """Return the look-ups under way that began after a moment."""
        return {task for begun, task in self._looking.values() if begun > since}

    def forget(self, topic: str) -> None:
        """A topic refused something: it may not be what it was."""
        self._partitions.pop(topic, None)

    async def close(self) -> None:
        tasks = [task for _, task in self._looking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, producer: AIOKafkaProducer, topic: str) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                self._partitions[topic] = sorted(await producer.partitions_for(topic))
        except TopicAuthorizationFailedError:
            self._miss(topic, f"this account may not use the topic {topic}")
        except TimeoutError:
            self._miss(topic, f"the topic {topic} is missing")
        except KafkaError as error:
            self._miss(topic, f"the topic {topic} cannot be had: {describe(error)}")
        finally:
            del self._looking[topic]

    def _miss(self, topic: str, reason: str) -> None:
        self._missing[topic] = asyncio.get_running_loop().time() + _MISSING_SECONDS, reason
