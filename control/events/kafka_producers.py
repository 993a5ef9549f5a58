"""The current Kafka producer, and retired ones with flights in progress."""

import asyncio
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from control.config import KafkaAccess
from control.events.bus import BusAway
from foundation import last_lines
from foundation.background import cancel_all
from foundation.failures import describe

_log = logging.getLogger(__name__)
_BATCH_BYTES = 128 * 1024
_CONNECT_SECONDS = 12.0
_REQUEST_MS = 10_000
_CLOSE_SECONDS = 0.5


class Producers:
    """Producers, one of which takes new batches. A retired one is closed when its last flight has ended."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._current: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._ending: dict[AIOKafkaProducer, asyncio.Task[None]] = {}

    async def current(self) -> AIOKafkaProducer:
        """Return the connected producer; raises BusAway if the brokers cannot be reached."""
        async with self._connecting:
            if self._current is None:
                self._current = await self._connected()
            return self._current

    def retire(self, producer: AIOKafkaProducer | None) -> None:
        """Retire the current producer; a new one sends the next batches."""
        if producer is not None and producer is self._current:
            self._current = None
            self._ending[producer] = asyncio.create_task(self._end(producer))

    async def close(self) -> None:
        """Close all producers, after waiting a moment for flights."""
        self.retire(self._current)
        endings = list(self._ending.values())
        if endings:
            await asyncio.wait(endings, timeout=_CLOSE_SECONDS)
        await cancel_all(endings)

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._access.arguments(),
            enable_idempotence=True,
            acks="all",
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=_REQUEST_MS,
            client_id="parley-control",
        )
        last_lines.take("aiokafka")
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await producer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await producer.stop()
            # The error says that no broker could be reached; aiokafka's log says why.
            raise BusAway(last_lines.take("aiokafka") or describe(error)) from error
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _end(self, producer: AIOKafkaProducer) -> None:
        try:
            await producer.stop()  # waits for records in flight, for as long as the brokers are away
        except KafkaError as error:
            _log.info("a Kafka producer did not stop cleanly: %s", describe(error))
        finally:
            del self._ending[producer]
            await producer.client.close()
