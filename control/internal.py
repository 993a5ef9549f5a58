"""Internal listener for Parley's other parts. Every route requires the node secret."""

import time
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from quart import Quart, Response, request

from control import facts, ingress_streams, livekit_admission, network_test, phone_calls, stream_key_admission
from control.ai import emotion_setting
from control.endpoint import client_address
from control.http.problem_handlers import handle_problems
from control.jobs import outside_jobs
from control.nodes import desired_changes
from control.placement import placing
from control.problem import Problem
from control.proxy.routing import LIVEKIT_PATHS, SIGNALING_PATH, node_for, node_of_livekit, room_of_path
from control.recordings import broadcasts
from control.services import Services
from control.store import live_settings, placements, rooms
from control.twirp import page_progress
from foundation import stored_settings
from foundation.broadcasts import BroadcastReport
from foundation.jobs import JobHeld, JobOutcome, JobProgress, JobRequest
from foundation.node_secret import carries_node_secret
from foundation.pictures import Picture
from foundation.settings import LIVE
from sfu.api.desired_state import DesiredPoll
from sfu.api.facts import FactAcknowledgement
from sfu.api.ingress import CloseStream, IngressReport, KeyCheck, OpenStream
from sfu.api.livekit import LiveKitUse, access_token
from sfu.api.phone import EnterMeeting, PhoneReport
from sfu.api.registration import DrainWish, Evacuated, NodeStanding, NodeStandings
from sfu.api.stream_key import StreamKeyUse

_Word = TypeVar("_Word", bound=msgspec.Struct)
_MAX_BATCH = 8 * 1024 * 1024


def create_app(services: Services) -> Quart:
    """Return the application of the internal listener."""
    app = Quart("control.internal", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BATCH
    handle_problems(app)

    @app.before_request
    async def authenticate() -> None:
        if not carries_node_secret(request.headers.get("Authorization", ""), services.config.node_secret):
            raise Problem(401, "node_secret", "The node secret is wrong.")

    _add_rooms(app, services)
    _add_jobs(app, services)
    _add_nodes(app, services)
    _add_ingress(app, services)
    _add_phone(app, services)
    return app


def _add_rooms(app: Quart, services: Services) -> None:
    """Add the routes through which nodes, recorder and inference read desired states and report facts."""

    @app.get("/internal/v1/keys")
    async def keys() -> Response:
        return _json({"keys": services.keys.public_jwks()})

    @app.get(stored_settings.PATH)
    async def settings() -> Response:
        async with services.pool.acquire() as connection:
            values = await live_settings.values(connection)
        # Pictures are large, and control alone shows them.
        told = {name: value for name, value in values.items() if name in LIVE and LIVE[name].kind is not Picture}
        return _json(stored_settings.StoredSettings(told))

    @app.get("/internal/v1/rooms/<room>/desired")
    async def desired(room: str) -> Response:
        test = network_test.state_of(room, time.time())
        if test is not None:
            return _json(test)
        async with services.pool.acquire() as connection:
            state = await rooms.state(connection, room)
            placement = await placements.of(connection, room)
        if state is None:
            raise Problem(404, "not_found", "This meeting does not exist.")
        return _json(msgspec.structs.replace(state, placement=placement))

    @app.post("/internal/v1/desired-states")
    async def desired_states() -> Response:
        poll = await _read(DesiredPoll)
        async with services.pool.acquire() as connection:
            return _json(await desired_changes.of_poll(connection, poll))

    @app.post("/internal/v1/stream-keys/admit")
    async def admit_by_stream_key() -> Response:
        return _json(await stream_key_admission.admit(services, await _read(StreamKeyUse)))

    @app.post("/internal/v1/livekit/admit")
    async def admit_by_livekit_token() -> Response:
        return _json(await livekit_admission.admit(services, await _read(LiveKitUse)))

    @app.get("/internal/v1/ai/setup")
    async def ai_setup() -> Response:
        async with services.pool.acquire() as connection:
            return _json({"emotion": await emotion_setting.is_on(connection)})

    @app.post("/internal/v1/facts")
    async def take_facts() -> Response:
        try:
            batch = facts.read(await request.data)
        except ValueError as error:
            raise Problem(400, "invalid_batch", str(error)) from error
        await facts.take(services, batch)
        return _json(FactAcknowledgement(acknowledged=batch.n))


def _add_jobs(app: Quart, services: Services) -> None:
    """Add the routes through which other parts claim, renew and settle jobs, and report broadcasts."""

    @app.post("/internal/v1/broadcasts/<broadcast>/report")
    async def report_broadcast(broadcast: str) -> Response:
        return _json(await broadcasts.take_report(services, broadcast, await _read(BroadcastReport)))

    @app.post("/internal/v1/jobs/claim")
    async def claim_job() -> Response:
        claimed = await outside_jobs.claim(services, await _read(JobRequest))
        return Response(b"", 204) if claimed is None else _json(claimed)

    @app.post("/internal/v1/jobs/<job>/progress")
    async def renew_job(job: str) -> Response:
        return _json(JobHeld(held=await outside_jobs.renew(services, job, await _read(JobProgress))))

    @app.post("/internal/v1/jobs/<job>/outcome")
    async def settle_job(job: str) -> Response:
        outcome = await _read(JobOutcome)
        try:
            return _json(JobHeld(held=await outside_jobs.settle(services, job, outcome)))
        except ValueError as error:
            raise Problem(400, "invalid_outcome", str(error)) from error


def _add_nodes(app: Quart, services: Services) -> None:
    """Add the routes for nodes: listing them, routing a connection, evacuating a node."""

    @app.get("/internal/v1/nodes")
    async def list_nodes() -> Response:
        living = services.registry.living()
        listed = [NodeStanding(record=one, living=name in living) for name, one in services.registry.known().items()]
        return _json(NodeStandings(nodes=listed))

    @app.put("/internal/v1/nodes/<node>/drain")
    async def drain(node: str) -> Response:
        try:
            wish = msgspec.json.decode(await request.data, type=DrainWish)
        except ValueError as error:
            raise Problem(400, "invalid_wish", str(error)) from error
        return _json(await services.nodes.drain(node, wish))

    @app.post("/internal/v1/nodes/<node>/evacuate")
    async def evacuate(node: str) -> Response:
        """Place the rooms of a draining node on others; the node then redirects their participants."""
        return _json(Evacuated(moved=await placing.evacuate(services, node)))

    @app.get("/internal/v1/route")
    async def route() -> Response:
        """Answer nginx's auth_request with the address to proxy `X-Original-URI` to, in X-Parley-Node."""
        uri = urlsplit(request.headers.get("X-Original-URI", ""))
        query = parse_qs(uri.query)
        authorization = request.headers.get("X-Original-Authorization", "")
        if uri.path in LIVEKIT_PATHS:
            node = await node_of_livekit(services, access_token(uri.query, authorization))
            address = node.signaling_url
        elif uri.path == SIGNALING_PATH:
            meeting, further = query.get("meeting", [""])[0], query.get("node", [""])[0]
            node = await node_for(services, meeting, further=further)
            address = node.signaling_url
        else:
            node = await node_for(services, room_of_path(uri.path), authorization)
            address = node.http_url
        return Response("", 204, {"X-Parley-Node": urlsplit(address).netloc})


def _add_ingress(app: Quart, services: Services) -> None:
    """Add the routes of ingress (sfu.api.ingress)."""

    @app.post("/internal/v1/ingress/check")
    async def check_key() -> Response:
        return _json(await ingress_streams.check(services, await _read(KeyCheck)))

    @app.post("/internal/v1/ingress/open")
    async def open_stream() -> Response:
        address = client_address(services, request)
        return _json(await ingress_streams.open_stream(services, await _read(OpenStream), address))

    @app.post("/internal/v1/ingress/close")
    async def close_stream() -> Response:
        await ingress_streams.close_stream(services, await _read(CloseStream))
        return _json({})

    @app.post("/internal/v1/ingress/report")
    async def report_streams() -> Response:
        told = await _read(IngressReport)
        orders = await ingress_streams.take_report(services, told)
        await page_progress.take_report(services, told)
        return _json(orders)


def _add_phone(app: Quart, services: Services) -> None:
    """Add the routes of phone (sfu.api.phone)."""

    @app.post("/internal/v1/phone/enter")
    async def enter_by_phone() -> Response:
        return _json(await phone_calls.enter(services, await _read(EnterMeeting)))

    @app.post("/internal/v1/phone/report")
    async def report_calls() -> Response:
        return _json(await phone_calls.take_report(services, await _read(PhoneReport)))


async def _read(kind: type[_Word]) -> _Word:
    try:
        return msgspec.json.decode(await request.data, type=kind)
    except msgspec.DecodeError as error:
        raise Problem(400, "invalid_request", str(error)) from error


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), content_type="application/json")
