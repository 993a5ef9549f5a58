"""Redis client for state that may be lost: counters of rate limits. Without Redis, each process counts alone.

After a failure, Redis is skipped for a second, so that an outage does not delay requests.
"""

import time

import redis.asyncio as redis
from prometheus_client import Counter
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

_FAILURES = Counter("parley_control_redis_failures_total", "Calls to Redis that failed")
_REST_SECONDS = 1.0


class LiveState:
    """State in Redis; without a `url`, there is no Redis."""

    def __init__(self, url: str | None) -> None:
        self._redis = (
            None
            if url is None
            else redis.Redis.from_url(
                url, socket_timeout=0.25, socket_connect_timeout=0.25, protocol=2, max_connections=20
            )
        )
        self._rest_until = 0.0

    async def count(self, key: str, seconds: int) -> int | None:
        """Increment a counter that expires `seconds` after it was created; return None if Redis does not answer."""
        client = self._client()
        if client is None:
            return None
        try:
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.set(key, 0, ex=seconds, nx=True)
                pipeline.incr(key)
                result = await pipeline.execute()
        except (RedisError, OSError) as error:
            self._failed(error)
            return None
        return int(result[1])

    async def read(self, key: str) -> int | None:
        """Return the value of a counter, or None if Redis does not answer."""
        client = self._client()
        if client is None:
            return None
        try:
            return int(await client.get(key) or 0)
        except (RedisError, OSError) as error:
            self._failed(error)
            return None

    async def forget(self, key: str) -> None:
        client = self._client()
        if client is None:
            return
        try:
            await client.delete(key)
        except (RedisError, OSError) as error:
            self._failed(error)

    async def ping(self) -> str | None:
        """Return an error if Redis cannot be used, or None if it can or is not configured.

        Raises TimeoutError if it is late.
        """
        if self._redis is None:
            return None
        try:
            await self._redis.ping()
        except (RedisTimeout, TimeoutError) as error:
            raise TimeoutError from error
        except (RedisError, OSError):
            return "does not answer"
        return None

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    def _client(self) -> "redis.Redis | None":
        if self._redis is None or time.monotonic() < self._rest_until:
            return None
        return self._redis

    def _failed(self, error: Exception) -> None:
        _FAILURES.inc()
        self._rest_until = time.monotonic() + _REST_SECONDS
