"""Partitions of topics, looked up in the background and cached; a missing topic is cached for half a minute.

Looking up a topic creates it if the brokers create topics automatically.
"""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from foundation.background import cancel_all
from foundation.failures import describe

_LOOK_SECONDS = 3.0
_MISSING_SECONDS = 30.0


class Topics:
    """Cache of one producer."""

    def __init__(self) -> None:
        self._partitions: dict[str, list[int]] = {}
        self._missing: dict[str, tuple[float, str]] = {}
        self._looking: dict[str, tuple[float, asyncio.Task[None]]] = {}

    def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic, empty while unknown."""
        return self._partitions.get(topic, [])

    def missing(self, topic: str) -> str | None:
        """Return why a topic is unavailable; None if it is available or not known yet."""
        until, reason = self._missing.get(topic, (0.0, None))
        return reason if asyncio.get_running_loop().time() < until else None

    def look(self, producer: AIOKafkaProducer, topic: str) -> None:
        """Start looking up a topic, unless that was done or is in progress."""
        if topic not in self._partitions and topic not in self._looking and self.missing(topic) is None:
            task = asyncio.create_task(self._look(producer, topic))
            self._looking[topic] = asyncio.get_running_loop().time(), task

    def looking(self, since: float) -> set[asyncio.Task[None]]:
        """Return the look-ups in progress that began after a given time."""
        return {task for begun, task in self._looking.values() if begun > since}

    def forget(self, topic: str) -> None:
        """Forget a topic that refused something: it may have changed."""
        self._partitions.pop(topic, None)

    async def close(self) -> None:
        await cancel_all([task for _, task in self._looking.values()])

    async def _look(self, producer: AIOKafkaProducer, topic: str) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                self._partitions[topic] = sorted(await producer.partitions_for(topic))
        except TopicAuthorizationFailedError:
            self._miss(topic, f"this account may not use the topic {topic}")
        except TimeoutError:
            self._miss(topic, f"the topic {topic} is missing")
        except KafkaError as error:
            self._miss(topic, f"the topic {topic} is unavailable: {describe(error)}")
        finally:
            del self._looking[topic]

    def _miss(self, topic: str, reason: str) -> None:
        self._missing[topic] = asyncio.get_running_loop().time() + _MISSING_SECONDS, reason
