"""Partitions of topics, looked up in the background and cached; a missing topic is cached for half a minute.

Looking up a topic creates it if the brokers create topics automatically. Otherwise, it is created here if this account
may do so. If not, the reason says that it is missing.
"""

import asyncio
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from control.config import KafkaAccess
from foundation.background import cancel_all
from foundation.failures import describe

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 3.0
_MISSING_SECONDS = 30.0


class Topics:
    """Cache of one producer."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
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
        """Return the look-ups in progress that started after a given time."""
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
            if (why := await self._create(topic)) is not None:
                self._miss(topic, f"the topic {topic} is missing{why}")
        except KafkaError as error:
            self._miss(topic, f"the topic {topic} is unavailable: {describe(error)}")
        finally:
            del self._looking[topic]

    async def _create(self, topic: str) -> str | None:
        """Create a topic, which a later look-up finds; return why that failed, or None if it did not."""
        if not self._access.partitions:
            return ""
        admin = AIOKafkaAdminClient(**self._access.arguments(), request_timeout_ms=int(_LOOK_SECONDS * 1000))
        try:
            async with asyncio.timeout(2 * _LOOK_SECONDS):
                await admin.start()
                replicas = self._access.replicas or min(3, len((await admin.describe_cluster())["brokers"]))
                answer = await admin.create_topics([NewTopic(topic, self._access.partitions, replicas)])
        except (KafkaError, OSError) as error:
            return f", and was not created: {describe(error)}"
        finally:
            await admin.close()
        refused = [for_code(result[1]) for result in answer.topic_errors]
        if any(kind not in (NoError, TopicAlreadyExistsError) for kind in refused):
            return f", and was not created: {refused[0].__name__}"
        _log.warning("created the topic %s", topic)
        return None

    def _miss(self, topic: str, reason: str) -> None:
        self._missing[topic] = asyncio.get_running_loop().time() + _MISSING_SECONDS, reason
