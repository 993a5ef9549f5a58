"""Workers of LiveKit's agent framework, which register at `/agent` and get the dispatched jobs.

Jobs are rows in the database, so any control process can accept a dispatch, and the process that a suitable worker is
connected to hands out the job. A job that no worker accepts waits for the next worker.
"""

import asyncio
import contextlib
import logging
import secrets
import time

from google.protobuf.message import DecodeError
from livekit.protocol import agent, models

from control import database_outage, livekit_views
from control.database import UNAVAILABLE
from control.http import handshakes
from control.http.asgi import Receive, Scope, Send
from control.identity.livekit_tokens import AccessToken, TokenRefused
from control.services import Services
from control.store import agent_jobs, livekit_rooms
from control.store.agent_jobs import JobRow
from control.twirp.dispatches import id_of, job_of
from foundation.background import cancel_all
from foundation.failures import describe
from sfu.api.livekit import access_token
from sfu.livekit import names

PATH = "/agent"
AGENT_PROTOCOL = 1
MAX_WORKERS = 1000
_log = logging.getLogger(__name__)
_MAX_BYTES = 256 * 1024
_REGISTER_SECONDS = 10.0
_ANSWER_SECONDS = 7.5
_CLAIM_SECONDS = 10.0
_POLL_SECONDS = 1.0
_TOKEN_SECONDS = 3600
_POLICY, _TOO_BIG, _RESTART = 1008, 1009, 1012
_AGENT_NAME = "lk.agent_name"
_ENDED: dict[int, agent_jobs.State] = {agent.JobStatus.JS_SUCCESS: "success", agent.JobStatus.JS_FAILED: "failed"}


class Worker:
    """A connected worker: its registration, and the jobs offered to it."""

    def __init__(self, token: AccessToken, send: Send) -> None:
        self.id = f"AW_{secrets.token_hex(6)}"
        self.key = token.iss
        self.name = ""
        self.registered = asyncio.Event()
        self.load = 0.0
        self.full = False
        self.serves_rooms = True
        self.revoked = asyncio.Event()
        self.permission = models.ParticipantPermission(
            can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
        )
        self.asked: dict[str, asyncio.Future[agent.AvailabilityResponse]] = {}
        self._send = send
        self._sending = asyncio.Lock()

    @property
    def takes_jobs(self) -> bool:
        return self.registered.is_set() and self.serves_rooms and not self.full

    async def tell(self, **message: object) -> None:
        data = agent.ServerMessage(**message).SerializeToString()  # type: ignore[arg-type]  # one of its messages
        async with self._sending:
            await self._send({"type": "websocket.send", "bytes": data})

    def register(self, asked: "agent.RegisterWorkerRequest") -> None:
        self.name = asked.agent_name
        self.serves_rooms = asked.type == agent.JobType.JT_ROOM
        if asked.HasField("allowed_permissions"):
            self.permission.CopyFrom(asked.allowed_permissions)
        self.registered.set()


class AgentDoor:
    """ASGI application for `/agent`, and the dispatch of jobs to the workers connected to this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._workers: dict[str, Worker] = {}
        self._closing = asyncio.Event()
        self._assigning: set[asyncio.Task[None]] = set()

    def close_all(self) -> None:
        """Close every connection, so that workers register with another process when this one stops."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            token = await self._token(scope)
        except TokenRefused as refused:
            await handshakes.refuse(scope, send, refused.status, "access_token", refused.detail)
            return
        except UNAVAILABLE as error:
            database_outage.note(error)
            await handshakes.refuse(scope, send, 503, "database", "the database is not answering")
            return
        await send({"type": "websocket.accept"})
        worker = Worker(token, send)
        reading = asyncio.create_task(self._read(worker, receive))
        stopping = asyncio.create_task(self._closing.wait())
        waiting = asyncio.create_task(asyncio.wait_for(worker.registered.wait(), _REGISTER_SECONDS))
        revoking = asyncio.create_task(worker.revoked.wait())
        try:
            await asyncio.wait((reading, stopping, waiting), return_when=asyncio.FIRST_COMPLETED)
            if worker.registered.is_set():
                await asyncio.wait((reading, stopping, revoking), return_when=asyncio.FIRST_COMPLETED)
            code = reading.result() if reading.done() and not reading.cancelled() else _RESTART
        finally:
            self._workers.pop(worker.id, None)
            await cancel_all((reading, stopping, waiting, revoking))
        if code:
            with contextlib.suppress(RuntimeError, OSError):  # the worker may have disconnected
                await send({"type": "websocket.close", "code": code, "reason": ""})

    async def _token(self, scope: Scope) -> AccessToken:
        """Return the token that admits a worker; raises TokenRefused."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = access_token(scope["query_string"].decode("latin-1"), headers.get("authorization", ""))
        token = await self._services.livekit_keys.verified(given)
        if not token.video.agent:
            raise TokenRefused(401, "permissions denied")
        if len(self._workers) >= MAX_WORKERS:
            raise TokenRefused(503, "too many workers are connected")
        return token

    async def _read(self, worker: Worker, receive: Receive) -> int:
        """Process a worker's messages until it disconnects; return the code to close with, 0 if the worker closed."""
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return 0
            data = message.get("bytes")
            if data is None:
                return _POLICY
            if len(data) > _MAX_BYTES:
                return _TOO_BIG
            try:
                said = agent.WorkerMessage.FromString(data)
            except DecodeError:
                return _POLICY
            try:
                await self._take(worker, said)
            except UNAVAILABLE as error:
                _log.warning("cannot store a report of worker %s: %s", worker.id, describe(error))

    async def _take(self, worker: Worker, said: "agent.WorkerMessage") -> None:
        match said.WhichOneof("message"):
            case "register" if not worker.registered.is_set():
                worker.register(said.register)
                self._workers[worker.id] = worker
                await worker.tell(register=agent.RegisterWorkerResponse(worker_id=worker.id, server_info=_server()))
                _log.info("worker %s of agent %r registered", worker.id, worker.name)
            case "ping":
                now = int(time.time() * 1000)
                await worker.tell(pong=agent.WorkerPong(last_timestamp=said.ping.timestamp, timestamp=now))
            case "update_worker":
                worker.load = said.update_worker.load
                if said.update_worker.HasField("status"):
                    worker.full = said.update_worker.status == agent.WorkerStatus.WS_FULL
            case "availability":
                answer = worker.asked.pop(said.availability.job_id, None)
                if answer is not None and not answer.done():
                    answer.set_result(said.availability)
            case "update_job":
                await self._job_changed(worker, said.update_job)
            case "migrate_job":
                async with self._services.pool.acquire() as connection:
                    jobs = [id_of(job) for job in said.migrate_job.job_ids[:1000]]
                    await agent_jobs.take_over(connection, jobs, worker.id)
            case "simulate_job":
                await self._simulate(worker, said.simulate_job)

    async def _job_changed(self, worker: Worker, update: "agent.UpdateJobStatus") -> None:
        state = _ENDED.get(update.status)
        if state is not None:
            async with self._services.pool.acquire() as connection:
                error = update.error.replace("\x00", "")[:2000]
                await agent_jobs.finish(connection, id_of(update.job_id), worker.id, state, error)

    async def _simulate(self, worker: Worker, asked: "agent.SimulateJobRequest") -> None:
        """Dispatch this worker's agent to a room, as requested on its command line."""
        async with self._services.pool.acquire() as connection:
            meeting = await livekit_rooms.meeting_of(connection, asked.room.name)
            if meeting is not None:
                await agent_jobs.add(connection, meeting, asked.room.name, worker.name)

    async def run(self) -> None:
        """Hand out jobs until cancelled, those of this process at once. If the database is unreachable, wait for it."""
        changed = self._services.dispatches_changed
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _POLL_SECONDS)
                changed.clear()
                if not self._workers:
                    continue
                try:
                    await self._send_away()
                    await self._hand_out()
                except UNAVAILABLE as error:
                    database_outage.note(error)
        finally:
            await cancel_all(self._assigning)

    async def _send_away(self) -> None:
        """Disconnect the workers whose API key was revoked. They try again, and are refused."""
        revoked = await self._services.livekit_keys.revoked({worker.key for worker in self._workers.values()})
        for worker in list(self._workers.values()):
            if worker.key in revoked:
                worker.revoked.set()
                self._workers.pop(worker.id)

    async def _hand_out(self) -> None:
        async with self._services.pool.acquire() as connection:
            for stopped in await agent_jobs.to_stop(connection, list(self._workers)):
                worker = self._workers.get(stopped.worker or "")
                if worker is not None:
                    await worker.tell(termination=agent.JobTermination(job_id=job_of(stopped).id))
            while names_of := sorted({worker.name for worker in self._workers.values() if worker.takes_jobs}):
                row = await agent_jobs.claim(connection, names_of, _CLAIM_SECONDS)
                if row is None:
                    return
                task = asyncio.create_task(self._assign(row))
                self._assigning.add(task)
                task.add_done_callback(self._assigning.discard)

    async def _assign(self, row: JobRow) -> None:
        """Offer a job to its agent's workers, least loaded first, until one takes it."""
        fitting = [worker for worker in self._workers.values() if worker.takes_jobs and worker.name == row.agent_name]
        for worker in sorted(fitting, key=lambda one: one.load):
            try:
                if await self._offer(worker, row):
                    return
            except (TimeoutError, RuntimeError, OSError, TokenRefused) as error:
                _log.warning("worker %s did not take job %s: %s", worker.id, row.id, describe(error))
            except UNAVAILABLE as error:
                database_outage.note(error)
                return

    async def _offer(self, worker: Worker, row: JobRow) -> bool:
        async with self._services.pool.acquire() as connection:
            listed = await livekit_rooms.one(connection, row.meeting_id)
        if listed is None:
            return False
        job = job_of(row)
        job.room.CopyFrom(livekit_views.room(listed))
        job.state.status = agent.JobStatus.JS_RUNNING
        job.state.worker_id = worker.id
        answer: asyncio.Future[agent.AvailabilityResponse] = asyncio.get_running_loop().create_future()
        worker.asked[job.id] = answer
        try:
            await worker.tell(availability=agent.AvailabilityRequest(job=job))
            said = await asyncio.wait_for(answer, _ANSWER_SECONDS)
        finally:
            worker.asked.pop(job.id, None)
        if not said.available:
            return False
        job.state.participant_identity = said.participant_identity
        token = await self._agent_token(worker, row.room, said)
        async with self._services.pool.acquire() as connection:
            if not await agent_jobs.begin(connection, row.id, worker.id, said.participant_identity):
                return True
        await worker.tell(assignment=agent.JobAssignment(job=job, token=token))
        return True

    async def _agent_token(self, worker: Worker, room: str, said: "agent.AvailabilityResponse") -> str:
        """Return a token for an agent, signed with its worker's API key."""
        now, may = int(time.time()), worker.permission
        video = {
            "roomJoin": True,
            "room": room,
            "agent": True,
            "canSubscribe": may.can_subscribe,
            "canPublish": may.can_publish,
            "canPublishData": may.can_publish_data,
            "canUpdateOwnMetadata": may.can_update_metadata,
            "hidden": may.hidden,
        }
        claims = {
            "iss": worker.key,
            "sub": said.participant_identity,
            "name": said.participant_name,
            "nbf": now - 5,
            "exp": now + _TOKEN_SECONDS,
            "kind": "agent",
            "metadata": said.participant_metadata,
            "attributes": {**said.participant_attributes, _AGENT_NAME: worker.name},
            "video": video,
        }
        return await self._services.livekit_keys.signed(claims)


def _server() -> "models.ServerInfo":
    return models.ServerInfo(
        edition=models.ServerInfo.Edition.Standard,
        version=names.SERVER_VERSION,
        protocol=names.PROTOCOL,
        agent_protocol=AGENT_PROTOCOL,
    )
