"""Negotiation by polling, for clients of an older system: an offer by POST, its answer and candidates to be fetched.

Below it is WHIP (RFC 9725) or WHEP with a join token that control makes. The media server answers offers and makes
none, and as an ICE-lite agent needs no candidates of the client's.
"""

import aiohttp

from control import grants
from control.answer_body import read_body
from control.api.negotiation_types import AnswerGiven, CandidateGiven, PeerAnswer, PeerCandidates, PeerOffer
from control.api.types import Done
from control.auth import access
from control.auth.access import Access, Standing
from control.database import Connection
from control.ending import ended
from control.endpoint import Call, Endpoints
from control.problem import Problem, not_found
from control.store import participants, peers, rooms
from control.store.participants import ParticipantRow
from control.store.peers import PeerRow

endpoints = Endpoints("older paths", scope="meetings")
_PATH = "/api/v1/webrtc/peer/<participant>"
_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
_MAX_ANSWER = 256 * 1024


@endpoints.route("POST", f"{_PATH}/offer", Access.SIGNED_IN, body=PeerOffer, answer=PeerAnswer)
async def offer_peer(call: Call, participant: str, body: PeerOffer) -> PeerAnswer:
    """Offer a peer of one's own, which takes the place of one's presence by other means."""
    async with call.services.pool.acquire() as connection:
        person, standing = await _own(call, connection, participant)
        state = await rooms.state(connection, person.meeting_id)
    if state is None or state.ended:
        raise ended()
    granted = grants.current(state, person.id, person.role, grants.settings_of(standing.meeting))
    token = call.services.tokens.join(person.meeting_id, person.id, person.name, person.user_id, granted)
    answer, location = await _ask(call, person.meeting_id, body, token)
    async with call.services.pool.acquire() as connection:
        await peers.keep(connection, person.id, body.purpose, answer, location)
    return PeerAnswer(type="answer", purpose=body.purpose, sdp=answer, location=location)


@endpoints.route("GET", f"{_PATH}/answer", Access.SIGNED_IN, answer=PeerAnswer)
async def get_peer_answer(call: Call, participant: str) -> PeerAnswer:
    """Return the answer to one's last offer."""
    row = await _negotiated(call, participant)
    return PeerAnswer(type="answer", purpose=row.purpose, sdp=row.answer, location=row.location)


@endpoints.route("GET", f"{_PATH}/ice-candidates", Access.SIGNED_IN, answer=PeerCandidates)
async def get_peer_candidates(call: Call, participant: str) -> PeerCandidates:
    """Return the candidates of the answer to one's last offer."""
    lines = (await _negotiated(call, participant)).answer.splitlines()
    found = [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]
    return PeerCandidates(candidates=list(dict.fromkeys(found)))


@endpoints.route("POST", "/api/v1/webrtc/ice-candidate", Access.SIGNED_IN, body=CandidateGiven, answer=Done)
async def give_candidate(call: Call, body: CandidateGiven) -> Done:
    """Take a candidate of a peer of one's own; checks tell the media server where the client is."""
    await _negotiated(call, body.participant)
    return Done()


@endpoints.route("POST", "/api/v1/webrtc/answer", Access.SIGNED_IN, body=AnswerGiven, answer=Done)
async def give_answer(call: Call, body: AnswerGiven) -> Done:
    """Refuse an answer: by polling the media server makes no offers."""
    await _negotiated(call, body.participant)
    raise Problem(409, "no_offer", "This server answers offers, and has made none; POST an offer of your own.")


async def _ask(call: Call, meeting: str, body: PeerOffer, token: str) -> tuple[str, str]:
    """Return answer and location that the node gives to the offer; raises Problem 4xx or 502."""
    node = await call.services.nodes.of_meeting(meeting)
    if node is None:
        raise Problem(409, "no_node", "Join the meeting first.")
    url = f"{node.http_url}/{'whip' if body.purpose == 'publish' else 'whep'}/{meeting}"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    try:
        async with call.services.http.post(url, data=body.sdp, headers=headers, timeout=_TIMEOUT) as answer:
            text = (await read_body(answer, _MAX_ANSWER)).decode(errors="replace")
            if answer.status == 201:
                return text, answer.headers.get("Location", "")
            status = answer.status if answer.status in {400, 403, 413, 429, 503} else 502
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(502, "node_unreachable", "The media server does not answer.") from error
    raise Problem(status, "offer_refused", "The media server did not take the offer.")


async def _own(call: Call, connection: Connection, participant: str) -> tuple[ParticipantRow, Standing]:
    """Return the participant if it is the caller itself; raises Problem 404 otherwise."""
    row = await participants.anywhere(connection, participant)
    if row is not None:
        try:
            standing = await access.in_meeting(connection, Access.PARTICIPANT, call.principal, row.meeting_id)
        except Problem:
            raise not_found("There is no such participant of yours.") from None
        if standing.participant is not None and standing.participant.id == row.id and not standing.removed:
            return row, standing
    raise not_found("There is no such participant of yours.")


async def _negotiated(call: Call, participant: str) -> PeerRow:
    async with call.services.pool.acquire() as connection:
        await _own(call, connection, participant)
        row = await peers.of_participant(connection, participant)
    if row is None:
        raise not_found("Nothing was offered for this participant yet.")
    return row
