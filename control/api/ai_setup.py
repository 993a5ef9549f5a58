"""Setup of emotion analysis, and analysis of live tracks."""

from typing import Any

import msgspec

from control.ai import emotion_setting
from control.api.ai_types import AiSetup, Analysed, AnalysisOffer, SetUp, TrackAnalysis
from control.auth import access as rules
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import Problem, not_found

endpoints = Endpoints("AI and jobs", scope="media")


@endpoints.route("GET", "/api/v1/ai/setup", Access.ADMIN, answer=AiSetup)
async def get_setup(call: Call) -> AiSetup:
    """Return whether emotion analysis is on, and the statement to acknowledge before switching it on."""
    return await _setup(call)


@endpoints.route("POST", "/api/v1/ai/setup", Access.ADMIN, body=SetUp, answer=AiSetup)
async def set_up_analysis(call: Call, body: SetUp) -> AiSetup:
    """Switch emotion analysis on or off. Switching it on requires the statement that GET returns."""
    if body.emotion and body.acknowledged != emotion_setting.STATEMENT_VERSION:
        raise Problem(
            409,
            "not_acknowledged",
            f"Send `acknowledged`: “{emotion_setting.STATEMENT_VERSION}” when this holds: {emotion_setting.STATEMENT}",
        )
    async with call.services.pool.acquire() as connection, connection.transaction():
        await emotion_setting.switch(connection, call.actor, call.address, on=body.emotion)
    return await _setup(call)


@endpoints.route("GET", "/api/v1/ai/analysis", Access.PUBLIC, answer=AnalysisOffer)
async def get_offer(call: Call) -> AnalysisOffer:
    """Return whether there are captions, and which analyses need consent; usually none."""
    offer = AnalysisOffer(
        emotion=False,
        synthesis=False,
        captions=False,
        translation=call.services.translator.languages,
        minutes=call.services.config.language_model is not None,
    )
    try:
        info = await call.services.inference.ask("info")
    except Problem:
        return offer
    async with call.services.pool.acquire() as connection:
        emotion = await emotion_setting.is_on(connection) and _works(info)
    detectors = info.get("synthesis", {})
    synthesis = isinstance(detectors, dict) and any(isinstance(card, dict) for card in detectors.values())
    captions = info.get("recogniser") is not None
    return msgspec.structs.replace(offer, emotion=emotion, synthesis=synthesis, captions=captions)


@endpoints.route("GET", "/api/v1/ai/streams/<stream>", Access.SIGNED_IN, answer=TrackAnalysis)
async def get_stream(call: Call, stream: str) -> TrackAnalysis:
    """Return the current analysis of a live track, for the meeting's hosts and the track's publisher."""
    for found in await _streams(call):
        if found.get("track") == stream and "analysis" in found.get("uses", ()) and await _may_see(call, found):
            return await _report(call, str(found["room"]), stream)
    raise not_found("This track does not exist or is not analysed.")


@endpoints.route("GET", "/api/v1/meetings/<meeting>/analysis", Access.PARTICIPANT, answer=Analysed)
async def list_analysed(call: Call, meeting: str) -> Analysed:
    """Return the analysis of the tracks in the room, all at once: everybody's for hosts, their own for others."""
    own = call.standing.participant.id if call.standing.participant else None
    streams = [
        one
        for one in await _streams(call)
        if one.get("room") == meeting
        and "analysis" in one.get("uses", ())
        and (call.standing.is_host or one.get("participant") == own)
    ]
    return Analysed(tracks=[await _report(call, meeting, str(one["track"])) for one in streams])


async def require_emotion(call: Call) -> None:
    """Raise Problem 409, with the reason, while emotion analysis is off."""
    async with call.services.pool.acquire() as connection:
        if not await emotion_setting.is_on(connection):
            raise Problem(409, "emotion_off", "Emotion analysis is off. An administrator can switch it on.")


async def _setup(call: Call) -> AiSetup:
    async with call.services.pool.acquire() as connection:
        emotion = await emotion_setting.is_on(connection)
    return AiSetup(
        emotion=emotion, statement=emotion_setting.STATEMENT, statement_version=emotion_setting.STATEMENT_VERSION
    )


async def _streams(call: Call) -> list[dict[str, Any]]:
    listed = (await call.services.inference.ask("streams")).get("streams", [])
    return [one for one in listed if isinstance(one, dict)]


async def _may_see(call: Call, stream: dict[str, Any]) -> bool:
    async with call.services.pool.acquire() as connection:
        try:
            standing = await rules.in_meeting(
                connection, Access.PARTICIPANT, call.principal, str(stream.get("room", ""))
            )
        except Problem:
            return False
    own = standing.participant is not None and standing.participant.id == stream.get("participant")
    return standing.is_host or own


async def _report(call: Call, meeting: str, track: str) -> TrackAnalysis:
    found = await call.services.inference.ask(f"streams/{meeting}/{track}")
    return TrackAnalysis(
        meeting=meeting,
        track=track,
        participant=str(found.get("participant", "")),
        media=str(found.get("media", "")),
        emotion=found.get("emotion"),
        synthesis=found.get("synthesis"),
    )


def _works(info: dict[str, Any]) -> bool:
    state = info.get("emotion")
    return isinstance(state, dict) and state.get("works") is True
