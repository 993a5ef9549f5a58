"""Speech recognition by Triton Inference Server over gRPC: endpoints are balanced, hedged, and have circuit breakers.

Each clip is a separate request to the ensemble `whisper` (see inference.triton.build), so Triton's dynamic batching
joins clips of all rooms and of all inference processes. A clip goes to the healthy endpoint with the fewest running
requests. If it takes much longer than usual and another endpoint is healthy, the clip is sent there too, and the first
answer counts. An endpoint that serves another model or gives invalid answers is not used.

Calls are unary, not a stream: gRPC uses one connection for them anyway, each error belongs to one clip (an error of a
stream names none), and the slower of two requests can be cancelled.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from foundation.background import cancel_all
from inference.breaker import Breaker
from inference.messages import ClipMessage
from inference.metrics import DROPS, HEDGES, TRITON_HEALTHY
from inference.model_error import ModelError
from inference.speech.transcript import SAMPLE_RATE, Transcript, window_seconds

_log = logging.getLogger(__name__)

MODEL = "whisper"
TIMEOUT_SECONDS = 30.0
"""Timeout in seconds for a slow endpoint. One that fails health checks is given up within CHECK_SECONDS + 3."""
CHECK_SECONDS = 2.0
_CHECK_TIMEOUT = 3.0
_LEAST_HEDGE = 1.5
_HEDGE_FACTOR = 3.0
_Request = tuple[list[Any], list[Any]]
_Error = (InferenceServerException, ConnectionError, TimeoutError)


@dataclass(slots=True)
class Endpoint:
    """One Triton endpoint. `seconds` is the smoothed time that a clip takes there."""

    url: str
    client: Any
    breaker: Breaker = field(default_factory=Breaker)
    healthy: bool = False
    under_way: int = 0
    seconds: float = 0.5
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self) -> None:
        """Count a clip as finished."""
        self.under_way -= 1

    async def while_alive(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of `call`; raises ConnectionError if the endpoint meanwhile fails its health checks."""
        answer, lost = asyncio.ensure_future(call), asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait((answer, lost), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ConnectionError("it stopped answering health checks")
            return answer.result()
        finally:
            await cancel_all((answer, lost))


def _request(clip: ClipMessage) -> _Request:
    """Return a clip as Triton's inputs, padded to its window, so that clips with the same window can share a batch."""
    pcm = np.frombuffer(clip.pcm, "<i2")
    padded = np.zeros((1, window_seconds(len(pcm)) * SAMPLE_RATE), np.int16)
    padded[0, : len(pcm)] = pcm[: padded.shape[1]]
    options = json.dumps({"language": clip.language, "prior": clip.prior}).encode()
    tensors = (
        ("PCM", padded, "INT16"),
        ("SAMPLES", np.array([[len(pcm)]], np.int32), "INT32"),
        ("OPTIONS", np.frombuffer(options, np.uint8)[None, :], "UINT8"),
    )
    inputs = []
    for name, array, kind in tensors:
        value = triton.InferInput(name, list(array.shape), kind)
        value.set_data_from_numpy(array)
        inputs.append(value)
    return inputs, [triton.InferRequestedOutput("TRANSCRIPT")]


def _transcript(result: Any) -> Transcript:
    """Return Triton's answer as a transcript; raises ValueError for an invalid one, ModelError for a refusal."""
    array = result.as_numpy("TRANSCRIPT")
    if array is None or array.size == 0:
        raise ValueError("the answer contains no transcript")
    content = array.tobytes().rstrip(b"\0")
    if content.startswith(b'{"error"'):
        raise ModelError(str(json.loads(content)["error"]))
    return msgspec.json.decode(content, type=Transcript)


class TritonRecogniser:
    """Recogniser over all endpoints.

    `run` watches their health until cancelled; `transcribe` may be called at any time.
    """

    max_batch = 8

    def __init__(
        self, urls: Sequence[str], expected: str, *, changed: Callable[[], None], timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Set the model's `expected` identity; `changed` is called when `model` changes.

        A clip may take `timeout` seconds at one endpoint.
        """
        self._timeout = timeout
        self._urls = tuple(urls)
        self._expected = expected
        self._changed = changed
        self._endpoints: list[Endpoint] = []

    @property
    def model(self) -> str | None:
        return self._expected if any(self._usable(endpoint) for endpoint in self._endpoints) else None

    def _usable(self, endpoint: Endpoint) -> bool:
        return endpoint.healthy and not endpoint.breaker.open

    async def run(self) -> None:
        """Connect to the endpoints and check them periodically."""
        self._endpoints = [Endpoint(url, triton.InferenceServerClient(url)) for url in self._urls]
        try:
            while True:
                before = self.model
                await asyncio.gather(*(self._check(endpoint) for endpoint in self._endpoints))
                if self.model != before:
                    self._changed()
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            await asyncio.gather(*(endpoint.client.close() for endpoint in self._endpoints))

    async def _check(self, endpoint: Endpoint) -> None:
        was = endpoint.healthy
        problem: object = None
        try:
            endpoint.healthy = await endpoint.client.is_model_ready(MODEL, client_timeout=_CHECK_TIMEOUT)
            if endpoint.healthy and not was:
                answer = await endpoint.client.get_model_config(MODEL, as_json=True, client_timeout=_CHECK_TIMEOUT)
                served = answer["config"].get("parameters", {}).get("identity", {}).get("string_value")
                if served != self._expected:
                    problem = f"it serves {served}, not {self._expected}"
                    endpoint.healthy = False
        except _Error as error:
            problem, endpoint.healthy = error, False
        except (KeyError, AttributeError) as error:
            problem, endpoint.healthy = f"its configuration cannot be read: {error!r}", False
        if endpoint.healthy and endpoint.breaker.allows(time.monotonic_ns()) and endpoint.breaker.open:
            await self._trial(endpoint)
        if was and not endpoint.healthy:
            endpoint.lost.set()
            endpoint.lost = asyncio.Event()
        TRITON_HEALTHY.labels(endpoint.url).set(self._usable(endpoint))
        if endpoint.healthy != was:
            _log.warning("triton %s is %s%s", endpoint.url, "ready" if endpoint.healthy else "not usable",
                           f": {problem}" if problem else "")  # fmt: skip

    async def _trial(self, endpoint: Endpoint) -> None:
        """Send a silent clip to an endpoint whose breaker is open."""
        try:
            await self._ask(endpoint, _request(ClipMessage(pcm=bytes(3200))))
        except ModelError as error:
            _log.info("triton %s still fails: %s", endpoint.url, error)

    async def transcribe(self, clips: Sequence[ClipMessage]) -> list[Transcript]:
        """Return the clips' transcripts; raises ModelError if every endpoint fails on one of them."""
        return list(await asyncio.gather(*(self._one(clip) for clip in clips)))

    async def _one(self, clip: ClipMessage) -> Transcript:
        request = _request(clip)
        tried: list[Endpoint] = []
        error = ModelError("no Triton endpoint is healthy")
        while (endpoint := self._pick(tried)) is not None:
            tried.append(endpoint)
            try:
                return await self._hedged(endpoint, request, tried)
            except ModelError as failure:
                error = failure
        raise error

    def _pick(self, tried: Sequence[Endpoint]) -> Endpoint | None:
        candidates = [endpoint for endpoint in self._endpoints if self._usable(endpoint) and endpoint not in tried]
        return min(candidates, key=lambda one: (one.under_way + 1) * one.seconds, default=None)

    async def _hedged(self, endpoint: Endpoint, request: _Request, tried: list[Endpoint]) -> Transcript:
        """Ask `endpoint`, and another one too if it takes long; raises ModelError if all of them fail."""
        pending = {self._begin(endpoint, request)}
        patience: float | None = max(_LEAST_HEDGE, _HEDGE_FACTOR * endpoint.seconds)
        failure = ModelError("no endpoint was asked")
        try:
            while pending:
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (error := task.exception()) is None:
                        return task.result()
                    if not isinstance(error, ModelError):
                        raise error
                    failure = error
                if not done and patience is not None and (other := self._pick(tried)) is not None:
                    tried.append(other)
                    HEDGES.inc()
                    pending.add(self._begin(other, request))
                patience = None
            raise failure
        finally:
            await cancel_all(pending)

    def _begin(self, endpoint: Endpoint, request: _Request) -> "asyncio.Future[Transcript]":
        """Ask `endpoint`. It counts as busy at once, so that simultaneous clips are spread over the endpoints."""
        endpoint.under_way += 1
        asking = asyncio.ensure_future(self._ask(endpoint, request))
        asking.add_done_callback(lambda _: endpoint.ended())
        return asking

    async def _ask(self, endpoint: Endpoint, request: _Request) -> Transcript:
        inputs, outputs = request
        began = time.monotonic()
        call = endpoint.client.infer(MODEL, inputs, outputs=outputs, client_timeout=self._timeout)
        try:
            transcript = _transcript(await endpoint.while_alive(call))
        except _Error as error:
            self._fail(endpoint, "failed")
            raise ModelError(f"triton {endpoint.url}: {error}") from error
        except ValueError as error:
            endpoint.breaker.trip(time.monotonic_ns())
            self._fail(endpoint, "nonsense")
            raise ModelError(f"triton {endpoint.url} gave an invalid answer: {error}") from error
        endpoint.breaker.succeeded()
        endpoint.seconds += 0.2 * (time.monotonic() - began - endpoint.seconds)
        return transcript

    def _fail(self, endpoint: Endpoint, reason: str) -> None:
        DROPS.labels("triton", reason).inc()
        before = self.model
        endpoint.breaker.failed(time.monotonic_ns())
        if self.model != before:
            self._changed()
