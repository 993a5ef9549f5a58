"""A worker that answers one request at a time, each with one message. It is kept running while `run` runs."""

import asyncio
import logging
from collections.abc import Callable

from foundation.backoff import Backoff
from inference import messages
from inference.model_error import ModelError
from inference.workers.process import WorkerProcess, confinement
from inference.workers.supervisor import supervise

_log = logging.getLogger(__name__)


class RequestWorker:
    """Client of one worker. Callers of `ask` take turns. `name` is for metrics, `what` for the log and for errors."""

    def __init__(self, name: str, what: str, *, timeout: float, changed: Callable[[], None]) -> None:
        """Set the `timeout` in seconds after which a worker is killed. `changed` is called when `model` changes."""
        self._name = name
        self._what = what
        self._timeout = timeout
        self._changed = changed
        self._arguments: tuple[str, ...] = ()
        self._worker: WorkerProcess | None = None
        self._model: str | None = None
        self._reply: asyncio.Future[messages.AnyMessage] | None = None
        self._turn = asyncio.Lock()

    @property
    def model(self) -> str | None:
        """The model that the worker has loaded, or None while it is not ready."""
        return self._model

    async def run(self, *arguments: str) -> None:
        """Keep a worker (a module and its arguments) running until cancelled."""
        self._arguments = arguments
        await supervise(self._name, self._what, self)

    async def wanted(self) -> tuple[str, ...]:
        """Return at once: the worker is always wanted."""
        return self._arguments

    async def serve(self, worker: WorkerProcess, backoff: Backoff) -> bool:
        """Process the worker's answers until it ends."""
        self._worker = worker
        while (message := await worker.receive()) is not None:
            if isinstance(message, messages.Ready):
                level, held = confinement(message)
                _log.log(level, "%s %s ready, %s", self._what, message.model, held)
                self._set_model(message.model)
            elif self._reply is not None and not self._reply.done():
                backoff.reset()
                self._reply.set_result(message)
        return False

    def ended(self) -> None:
        """Fail the current request, since the worker has ended."""
        self._worker = None
        self._set_model(None)
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ModelError(f"the {self._what} ended"))

    async def ask(self, message: messages.AnyMessage) -> messages.AnyMessage:
        """Return the worker's answer; raises ModelError, including for Failed."""
        async with self._turn:
            return await self._ask(message)

    async def _ask(self, message: messages.AnyMessage) -> messages.AnyMessage:
        worker = self._worker
        if worker is None or self._model is None:
            raise ModelError(f"the {self._what} is not ready")
        self._reply = asyncio.get_running_loop().create_future()
        if not worker.send(messages.encode(message)):
            raise ModelError(f"the {self._what} is too far behind")
        try:
            reply = await asyncio.wait_for(self._reply, self._timeout)
        except TimeoutError as error:
            await worker.stop()
            raise ModelError(f"the {self._what} does not answer") from error
        finally:
            self._reply = None
        if isinstance(reply, messages.Failed):
            raise ModelError(reply.reason)
        return reply

    def _set_model(self, model: str | None) -> None:
        if model != self._model:
            self._model = model
            self._changed()
