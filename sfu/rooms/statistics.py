"""Statistics of a room's media, for operators: incoming and outgoing media of each participant."""

from typing import Any

from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room


def of_room(room: Room, now: int) -> list[dict[str, Any]]:
    """Return one JSON object per participant; rates are in bits/s, times in ms, loss in 256ths as reported."""
    return [_of_participant(participant, room, now) for participant in room.own()]


def _of_participant(participant: Participant, room: Room, now: int) -> dict[str, Any]:
    receiving = participant.subscription or participant.whep_player
    return {
        "participant": participant.participant,
        "publish": _publishing(participant.publish, now) if participant.publish is not None else None,
        "subscribe": _receiving(receiving.subscribe_peer, room) if receiving is not None else None,
    }


def _publishing(publish: PublishPeer, now: int) -> dict[str, Any]:
    streams = [
        {
            "track": uptrack.track,
            "ssrc": stream.ssrc,
            "rid": stream.rid,
            "active": stream.active(now),
            "bitrate": int(stream.bits_per_second),
            "packets": stream.packets,
            "frame_rate": round(stream.frame_rate, 1),
            "fraction_lost": stream.fraction_lost,
            "jitter": stream.jitter / 1_000_000,
            "keyframes_asked": stream.plis_sent,
        }
        for uptrack in publish.uptracks.values()
        for stream in uptrack.streams
    ]
    return {"connected": publish.peer.connected, "streams": streams}


def _receiving(subscribe_peer: SubscribePeer, room: Room) -> dict[str, Any]:
    tracks = []
    for downtrack in subscribe_peer.downtracks.values():
        if downtrack.uptrack is not None and downtrack.stream is not None:
            state = room.context.engine.route_state(downtrack.route)
            tracks.append(
                {
                    "track": downtrack.uptrack.track,
                    "mid": downtrack.mid,
                    "rid": downtrack.stream.rid,
                    "layer": downtrack.layer_name,
                    "packets": state.packets,
                    "octets": state.octets,
                    "retransmitted": state.retransmitted,
                    "nacks": downtrack.nacks,
                    "keyframes_asked": downtrack.plis,
                    "fraction_lost": downtrack.fraction_lost,
                    "jitter": downtrack.jitter / 1_000_000,
                }
            )
    return {
        "connected": subscribe_peer.peer.connected,
        "round_trip": subscribe_peer.round_trip.smoothed / 1_000_000 if subscribe_peer.round_trip.measured else None,
        "estimate": int(subscribe_peer.bandwidth.rate) if subscribe_peer.bandwidth is not None else None,
        "wanted": int(subscribe_peer.bandwidth.wanted) if subscribe_peer.bandwidth is not None else None,
        "paused": [
            entry.uptrack.track for entry in subscribe_peer.downtracks.values() if entry.paused and entry.uptrack
        ],
        "tracks": tracks,
    }
