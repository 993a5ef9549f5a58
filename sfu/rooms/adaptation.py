"""Adaptation of a room, several times a second: each subscriber's layers, and the layers that publishers may stop.

If links are estimated, grants stay within the estimate, and tracks that do not fit are paused and reported as paused.
Otherwise only the displayed size of a picture counts.
"""

from dataclasses import dataclass

from sfu.api.join_token import Source
from sfu.api.signaling import TrackState
from sfu.flight import notes as flight_notes
from sfu.flight.recorder import Kind
from sfu.machines.layers.layer_allocator import PAUSED, Allocation, Demand, Grant, Rank
from sfu.machines.layers.size import full_height, useful_layers
from sfu.peers.coalescing import coalesce_nearest
from sfu.peers.layers.layer_ladder import UNKNOWN_RATE, CostChange, LayerLadder
from sfu.peers.layers.layer_options import (
    ALL_LAYERS,
    LayerOption,
    keeping_resolution,
    options_of,
    share_carried,
    slowest,
    up_to,
)
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.downtrack import DownTrack
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms.adapted_subscriber import PROBE_MARGIN, UNLIMITED, AdaptedSubscriber
from sfu.rooms.left_out import NO_RESTRICTION, NOTHING, Restriction, choose_left_out
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room
from sfu.rooms.spared_sounds import audio_rate_of, audio_rate_to, spare_sounds
from sfu.rooms.taps import RoomTaps
from sfu.rooms.unwatched_layers import UnwatchedLayers

BANDWIDTH = "bandwidth"
OVERLOAD = "overload"

_INTERVAL_NS = 200_000_000
_WATCH_NS = 100_000_000
_STILL_AFTER_NS = 5_000_000_000
"""The time without any picture after which a room is still; by then a freeze has been counted."""
_STILL_NS = 1_000_000_000
"""The time between updates of a still room."""
_SILENT_NS = 5_000_000_000
"""The interval if no audio flows either."""
_RESTING_NS = 30_000_000_000
"""The interval of surveys then, if the last one has changed nothing."""
_CALM_NS = 1_000_000_000
"""The interval while nothing changes; bitrates are measured as often."""
_BATCH = 20
"""The number of subscribers served at a time, so that large rooms do not stall the loop; each still gets two turns a
second. Only the first turn after a new restriction comes before other work: fewer would delay the effect of shedding.
"""
_LOOKS = 100
"""The same bound, including those for whom nothing has changed."""
_ROUND_NS = 500_000_000
_CALM_ROUND_NS = 2_000_000_000
_HURRY_NS = 10_000_000
_SURVEY_NS = 500_000
"""The least time between two surveys for each video: while hundreds begin, all would be measured again for each."""
_BEHIND_NS = 50_000_000
"""The pause after which a link to another node may tell more."""
_HEIGHTS = {Source.SCREEN: 1080}
_CAMERA_HEIGHT = 720
_SMALL_HEIGHT = 360


@dataclass(frozen=True, slots=True)
class AdaptationKey:
    """A room's place in the schedule."""

    room: str


class Adaptation:
    """Adaptation of one room; call `update` at its time in the schedule."""

    def __init__(self, room: Room, taps: RoomTaps) -> None:
        self._room = room
        self._ladders: dict[str, LayerLadder] = {}
        self._videos: dict[str, UpTrack] = {}
        self._subscribers: dict[str, AdaptedSubscriber] = {}
        self._speaker: str | None = None
        self._turn = 0
        self._more_wait = False
        self._serve_at = self._survey_at = self._served_at = self._surveyed_at = 0
        self._in_haste = 0
        self._unchanged = 0
        """The number of looks in a row that found nothing to do."""
        self._sound = 0.0  # bits/s of all audio that flows
        self._prices_changed = 0
        self._restriction = NO_RESTRICTION
        self._left_out = NOTHING
        self._spoke: dict[str, None] = {}
        """Everybody who has been the speaker, the latest last."""
        self._taps = taps
        self._unwatched = UnwatchedLayers(room, taps)
        self.is_still = False
        """True while no picture flows and nothing needs a decision."""

    def restrict(self, restriction: Restriction, now: int) -> bool:
        """Apply these restrictions from the next update on; return True if they have changed."""
        if restriction == self._restriction:
            return False
        self._restriction = restriction
        self.hurry(now)
        self._serve_at = self._survey_at = 0
        return True

    def hurry(self, now: int) -> None:
        """Note a change that should take effect at once; changes within a few milliseconds count as one."""
        at = self._surveyed_at + _SURVEY_NS * len(self._videos)
        self._serve_at, self._survey_at = min(self._serve_at, at), min(self._survey_at, at)
        self._room.context.schedule.hasten(AdaptationKey(self._room.room), max(now + _HURRY_NS, at))

    def welcome(self, uptrack: UpTrack, now: int) -> None:
        """Note a new track, which may begin within tens of milliseconds; all subscribers get a turn before that."""
        if _begins_early(uptrack):
            self._in_haste = len(self._room.participants)
            self.hurry(now)

    def rests(self, track: str) -> bool:
        """Return True if a track's publisher was told that nobody watches it."""
        ladder = self._ladders.get(track)
        return ladder is not None and ladder.rests

    def heard(self, now: int) -> None:
        """Note that somebody began or stopped speaking: audio that was left out may be wanted at once."""
        if any(subscriber.spared for subscriber in self._subscribers.values()):
            self.hurry(now)

    def stir(self, now: int) -> None:
        """Note that a picture flows again, or has another size, perhaps after the room was still or calm."""
        if self.is_still or self._is_calm:
            self.hurry(now)

    @property
    def _is_calm(self) -> bool:
        """True if everybody gets everything wanted, and the last round has changed nothing.

        What may change it calls `hurry` or `stir`, or is seen by `_leave_stalled` or `_is_short`.
        """
        return self._unchanged >= len(self._room.participants) and not (self._in_haste or self._more_wait)

    def update(self, now: int) -> None:
        """Leave stalled layers. In turns, grant layers, report pauses, and tell publishers which layers to send."""
        room = self._room
        if self._leave_stalled(now) or (self._is_calm and self._is_short()):
            self._unchanged = 0
            self._serve_at = self._survey_at = min(self._serve_at, now)
        if now >= self._serve_at:
            self._served_at = now
            looks = max(self._serve_some(now), 1)
            self._in_haste = max(self._in_haste - looks, 0)
            interval, whole = (_CALM_NS, _CALM_ROUND_NS) if self._is_calm else (_INTERVAL_NS, _ROUND_NS)
            pause = min(interval, whole * looks // max(len(room.participants), 1))
            self._serve_at = now + (_HURRY_NS if self._in_haste else pause * room.context.pace)
            if any(link.is_behind for link in room.links.values()):
                self._serve_at = self._survey_at = min(self._serve_at, now + _BEHIND_NS)
        self.is_still = self._has_nothing_to_do(now)
        if self.is_still:
            is_silent = self._is_silent(now)
            self._serve_at = self._served_at + _RESTING_NS if is_silent and self._is_calm else now
            wait = _SILENT_NS if is_silent else _STILL_NS
            room.context.schedule.set(AdaptationKey(room.room), coalesce_nearest(now + wait, now))
            return
        at = min(self._serve_at, now + _WATCH_NS * room.context.pace)
        room.context.schedule.set(AdaptationKey(room.room), at if self._in_haste else coalesce_nearest(at, now))

    def _has_nothing_to_do(self, now: int) -> bool:
        """Return True if no decision can change unless somebody calls `hurry` or `stir`."""
        if self._in_haste or self._more_wait or self._room.links:
            return False
        flows = any(
            now - stream.last_arrival < _STILL_AFTER_NS
            for uptrack in self._videos.values()
            for stream in uptrack.streams
        )
        return not flows and not any(subscriber.paused for subscriber in self._subscribers.values())

    def _is_silent(self, now: int) -> bool:
        """Return True if no audio flows either: then its bitrates and the estimates do not change."""
        return all(
            now - stream.last_arrival >= _STILL_AFTER_NS
            for uptrack in self._room.published()
            if uptrack.is_audio
            for stream in uptrack.streams
        )

    def _leave_stalled(self, now: int) -> bool:
        """Move watchers and sinks of a stalled layer to one that flows, without waiting for their turn; return whether
        any layer has stalled or flows again.
        """
        is_any = False
        for track, ladder in self._ladders.items():
            uptrack = self._videos.get(track)
            if uptrack is not None and ladder.watch(uptrack.streams, now, waits=self._waits(uptrack, now)):
                is_any = True
                for watcher in uptrack.watchers:
                    watcher.choose(now)
                self._taps.follow(uptrack, now)
        return is_any

    def _waits(self, uptrack: UpTrack, now: int) -> bool:
        """Return True if packets wait on the uplink of a track's publisher."""
        publish_peer = self._room.publisher_of(uptrack)
        return publish_peer is not None and publish_peer.waits(now)

    def _is_short(self) -> bool:
        """Return True if the estimate of a subscriber's link no longer has room to spare."""
        return any(subscriber.is_short for subscriber in self._subscribers.values())

    def _serve_some(self, now: int) -> int:
        """Serve newcomers, and the next of the others; return the number served."""
        room = self._room
        self._speaker = room.speakers.active or self._speaker
        is_due = now >= self._survey_at
        if is_due:
            self._survey_at, self._surveyed_at = now + _INTERVAL_NS, now
            if self._observe(now):
                self._unchanged = 0
        if room.uptracks:
            looks = self._take_turns(now, welcome=is_due or self._more_wait)
        else:
            looks = len(room.participants)
            for subscriber in self._subscribers.values():
                self._want(subscriber.subscribe_peer, 0.0, now)
        if is_due:
            for gone in self._subscribers.keys() - room.participants.keys():
                del self._subscribers[gone]
            for track, ladder in self._ladders.items():
                self._unwatched.tell(self._videos[track], ladder, now, hasty=track in self._left_out.unread)
                if ladder.awaits_layers(now):
                    self._unchanged = 0
            for link in room.links.values():
                link.say_due(now)
        return looks

    def _take_turns(self, now: int, *, welcome: bool) -> int:
        participants = list(self._room.participants.values())
        known = self._subscribers
        served = looks = 0
        if welcome:
            newcomers = [entry for entry in participants if entry.participant not in known and _receives(entry)]
            for participant in newcomers[:_BATCH]:
                served += self._serve(participant, now)
            self._more_wait = len(newcomers) > _BATCH
        changed = bool(served or self._room.links or self._left_out != NOTHING)
        while looks < min(len(participants), _LOOKS) and served < _BATCH:
            participant = participants[self._turn % len(participants)]
            self._turn = (self._turn + 1) % len(participants)
            looks += 1
            if participant.participant in known and self._serve(participant, now):
                served += 1
                changed = True
        self._unchanged = 0 if changed else self._unchanged + looks
        return looks

    def _observe(self, now: int) -> bool:
        """Measure the videos; return whether the layers of any have changed, or what is left out."""
        self._videos = {uptrack.track: uptrack for uptrack in self._room.published() if not uptrack.is_audio}
        for track in self._ladders.keys() - self._videos.keys():
            del self._ladders[track]
        for track, uptrack in self._videos.items():
            if track not in self._ladders:
                self._ladders[track] = LayerLadder(is_screen=uptrack.source is Source.SCREEN)
            self._ladders[track].observe(uptrack.streams, now)
        self._unwatched.forget_others(self._videos.values())
        is_other = self._choose_left_out()
        changes = [ladder.note_costs() for ladder in self._ladders.values()]
        self._prices_changed += CostChange.PRICES in changes
        self._sound = audio_rate_of(self._room.published(), now)
        return is_other or CostChange.LAYERS in changes

    def _choose_left_out(self) -> bool:
        """Choose the tracks that are left out; return whether viewers see any of them differently from now on."""
        if self._speaker is not None:
            self._spoke.pop(self._speaker, None)
            self._spoke[self._speaker] = None
            if len(self._spoke) > len(self._room.participants):
                self._spoke = {who: None for who in self._spoke if who in self._room.participants}
        before = self._left_out
        self._left_out = choose_left_out(self._restriction, self._videos.values(), self._spoke)
        others = self._left_out.differing(before)
        for track in others & self._ladders.keys():
            self._ladders[track].changes += 1
        if others:
            self._in_haste = len(self._room.participants)
        return bool(others)

    def _serve(self, participant: Participant, now: int) -> bool:
        """Grant a participant layers and tell it which tracks are paused; return whether there was anything to do."""
        holder = participant.subscription or participant.whep_player
        if holder is None or not _receives(participant):
            return False
        subscriber = self._subscribers.get(participant.participant)
        if subscriber is None or subscriber.subscribe_peer is not holder.subscribe_peer:
            subscriber = self._subscribers[participant.participant] = AdaptedSubscriber(holder.subscribe_peer)
        spare_sounds(subscriber, self._sound, self._speaker, now)
        if subscriber.is_settled(participant.session, self._ladders) and self._is_affordable(subscriber, now):
            return False
        shown = {
            downtrack.uptrack.track: downtrack
            for downtrack in holder.subscribe_peer.downtracks.values()
            if downtrack.uptrack is not None and downtrack.uptrack.track in self._ladders
        }
        held = self._hold_back(shown)
        paused = held | self._allocate(subscriber, shown, participant.participant, now)
        self._tell_paused(participant, subscriber, paused)
        subscriber.allocated(self._ladders)
        subscriber.prices = self._prices_changed
        return True

    def _is_affordable(self, subscriber: AdaptedSubscriber, now: int) -> bool:
        """Return True if a subscriber gets everything it wants and this still fits at the newest costs, with room to
        spare.
        """
        bandwidth = subscriber.subscribe_peer.bandwidth
        if subscriber.prices == self._prices_changed or bandwidth is None:
            return True
        if bandwidth.is_starting:
            return False  # once costs are known, an allocation ends the start
        cost = subscriber.reprice()
        subscriber.prices = self._prices_changed
        self._want(subscriber.subscribe_peer, cost, now)
        return bandwidth.rate >= subscriber.enough

    def _want(self, subscribe_peer: SubscribePeer, cost: float, now: int) -> None:
        """Set the rate (bits/s) that would be sent if there were room; probes aim above it."""
        bandwidth = subscribe_peer.bandwidth
        if bandwidth is not None and bandwidth.want(cost * PROBE_MARGIN / bandwidth.media_share, now):
            self._room.context.touched.add(subscribe_peer.peer.number)

    def _hold_back(self, shown: dict[str, DownTrack]) -> dict[str, str]:
        """Pause tracks that the node has no time for and remove them from those shown; return them with the reason."""
        held = {}
        for track in [track for track, downtrack in shown.items() if downtrack.wanted.hidden]:
            shown.pop(track).pause()
        for track in self._left_out.paused & shown.keys():
            shown.pop(track).pause()
            held[self._videos[track].shown_as] = OVERLOAD
        return held

    def _allocate(
        self, subscriber: AdaptedSubscriber, shown: dict[str, DownTrack], participant: str, now: int
    ) -> dict[str, str]:
        """Grant layers of the tracks shown; return the paused tracks with the reason."""
        bandwidth = subscriber.subscribe_peer.bandwidth
        options = {track: self._useful(downtrack) for track, downtrack in shown.items()}
        demands = [self._demand(shown[track], streams, participant) for track, streams in options.items()]
        audio = audio_rate_to(subscriber.subscribe_peer, now)
        lowest = min((demand.layers[0] for demand in demands if demand.layers), default=0.0)
        rate = bandwidth.room(audio + lowest) if bandwidth is not None else UNLIMITED
        carried = self._carried(shown) + audio
        if bandwidth is not None:
            is_last = _is_last(shown, options)
            loss = bandwidth.state.loss
            rate = subscriber.dips.sit_out(rate, carried, bandwidth.queueing, now, loss=loss, is_last=is_last)
        if bandwidth is not None and demands:
            bandwidth.show()
        if bandwidth is not None and any(self._is_new(downtrack) for downtrack in shown.values()):
            bandwidth.open(now)
        if bandwidth is not None and bandwidth.is_trying(now):
            rate = max(rate, audio + lowest * PROBE_MARGIN)
        allocation = subscriber.allocator.allocate(rate, audio, demands, now)
        if demands:
            noted = flight_notes.allocation(rate, audio, demands, allocation)
            self._room.flight.note(now, Kind.ALLOCATION, participant, noted)
        self._want(subscriber.subscribe_peer, allocation.wanted + audio, now)
        subscriber.enough = UNLIMITED
        if allocation.total == allocation.wanted:
            subscriber.carried = [(self._ladders[track], useful[-1]) for track, useful in options.items() if useful]
            subscriber.audio = audio
            subscriber.reprice()
        begins_small = self._begin_small(subscriber, options, allocation, now)
        if bandwidth is not None and bandwidth.rate >= subscriber.enough and self._knows_prices(shown):
            bandwidth.end_start(now)
        self._let_begin(shown, rate - audio - allocation.total, now)
        congested = bandwidth is not None and carried > rate
        paused: dict[str, str] = {}
        awaited = set()
        for track, grant in {**allocation.grants, **begins_small}.items():
            if not options[track]:
                continue
            if grant.layer == PAUSED:
                shown[track].pause()
                paused[self._videos[track].shown_as] = BANDWIDTH
            else:
                option = options[track][grant.layer]
                shown[track].grant(option.stream, now, at_once=congested, layer=option.layer)
                if shown[track].awaits_picture:
                    awaited.add(self._videos[track].shown_as)
        return paused | self._still_paused(subscriber, awaited)

    def _begin_small(
        self,
        subscriber: AdaptedSubscriber,
        options: dict[str, list[LayerOption]],
        allocation: Allocation[str],
        now: int,
    ) -> dict[str, Grant]:
        """Return the lowest layer of each screen that was granted a larger one, while nothing is known about the link.

        One picture of a large screen can be more than a link carries in seconds, and is then lost in its queue.
        """
        small = {
            track: grant._replace(layer=0)
            for track, grant in allocation.grants.items()
            if self._videos[track].source is Source.SCREEN
            and grant.layer != PAUSED
            and options[track][grant.layer].stream is not options[track][0].stream
        }
        bandwidth = subscriber.subscribe_peer.bandwidth
        if not small or bandwidth is None or not bandwidth.shows_first(now):
            return {}
        subscriber.enough = UNLIMITED
        return small

    def _let_begin(self, shown: dict[str, DownTrack], room: float, now: int) -> None:
        """Let new tracks begin within the rate that is left (bits/s)."""
        for track, downtrack in shown.items():
            uptrack = self._videos[track]
            if downtrack.awaits_track and _begins_early(uptrack) and not self._ladders[track].available:
                room -= UNKNOWN_RATE
                downtrack.begin(now, fits=room >= 0)

    def _still_paused(self, subscriber: AdaptedSubscriber, awaited: set[str]) -> dict[str, str]:
        """Return the tracks that remain reported as paused: until their first picture nothing is visible."""
        if still := {track: subscriber.paused[track] for track in awaited & subscriber.paused.keys()}:
            subscriber.enough = UNLIMITED  # there will soon be something to report
        return still

    def _knows_prices(self, shown: dict[str, DownTrack]) -> bool:
        """Return True if something is shown, and all of it has been measured."""
        ladders = [self._ladders[track] for track in shown]
        return bool(ladders) and all(
            ladder.available and all(map(ladder.knows, ladder.available)) for ladder in ladders
        )

    def _is_new(self, downtrack: DownTrack) -> bool:
        """Return True if a picture of unknown cost is about to begin."""
        uptrack = downtrack.uptrack
        assert uptrack is not None
        ladder = self._ladders[uptrack.track]
        return downtrack.granted is None and not downtrack.paused and any(not ladder.knows(s) for s in ladder.available)

    def _useful(self, downtrack: DownTrack) -> list[LayerOption]:
        """Return the layers that are useful at the displayed size, lowest first."""
        uptrack = downtrack.uptrack
        assert uptrack is not None
        options = options_of(self._ladders[uptrack.track].available, uptrack.layers)
        if downtrack.wanted_layer != ALL_LAYERS:
            options = up_to(options, uptrack.layers, downtrack.wanted_layer)
        if not options:
            return []
        if downtrack.wanted_rid is not None:
            chosen = [option for option in options if option.stream.rid == downtrack.wanted_rid]
            return chosen or options[:1]
        height = full_height([option.stream.lines for option in options]) or _HEIGHTS.get(
            uptrack.source, _CAMERA_HEIGHT
        )
        shown = downtrack.wanted.height
        if uptrack.track in self._left_out.small:
            shown = min(shown or _SMALL_HEIGHT, _SMALL_HEIGHT)
        useful = options[: useful_layers(len(options), height, shown)]
        if uptrack.source is Source.SCREEN:
            return keeping_resolution(useful, uptrack.layers)
        is_slow = uptrack.track in self._left_out.slow and 0 < downtrack.wanted.height <= _SMALL_HEIGHT
        return slowest(useful, uptrack.layers) if is_slow else useful

    def _demand(self, downtrack: DownTrack, options: list[LayerOption], participant: str) -> Demand[str]:
        uptrack = downtrack.uptrack
        assert uptrack is not None
        rank = Rank.TILE
        if uptrack.source is Source.SCREEN:
            rank = Rank.SCREEN
        elif uptrack.participant == self._speaker and uptrack.participant != participant:
            rank = Rank.SPEAKER
        ladder = self._ladders[uptrack.track]
        wanted = downtrack.wanted
        return Demand(
            uptrack.track,
            rank,
            tuple(ladder.cost(option.stream) * option.share for option in options),
            wanted.width * wanted.height,
        )

    def _carried(self, shown: dict[str, DownTrack]) -> float:
        """Return the cost of the pictures that flow now."""
        return sum(
            self._ladders[track].cost(downtrack.stream)
            * share_carried(downtrack.stream, self._videos[track].layers, downtrack.layer)
            for track, downtrack in shown.items()
            if downtrack.stream is not None
        )

    def _tell_paused(self, participant: Participant, subscriber: AdaptedSubscriber, paused: dict[str, str]) -> None:
        outbox = self._room.context.outbox
        if participant.session != subscriber.session:  # a resumed client may have missed earlier messages
            subscriber.session = participant.session
            subscriber.paused = {}
        for track, reason in paused.items():
            if subscriber.paused.get(track) != reason:
                outbox.tell(participant.session, TrackState(track=track, paused=True, reason=reason))
        for track in (subscriber.paused.keys() - paused.keys()) & self._room.uptracks.keys():
            outbox.tell(participant.session, TrackState(track=track, paused=False))
        subscriber.paused = paused


def _begins_early(uptrack: UpTrack) -> bool:
    """Return True if a track may be shown from its first packet on; with several layers, any may arrive first."""
    return not uptrack.is_audio and not uptrack.media.rids


def _is_last(shown: dict[str, DownTrack], options: dict[str, list[LayerOption]]) -> bool:
    """Return True if only one picture is carried, in its lowest layer."""
    carried = [(options[track], downtrack) for track, downtrack in shown.items() if downtrack.stream is not None]
    if len(carried) != 1 or not carried[0][0]:
        return False
    (least, *_), downtrack = carried[0]
    return downtrack.stream is least.stream and downtrack.layer == least.layer


def _receives(participant: Participant) -> bool:
    holder = participant.subscription or participant.whep_player
    return holder is not None and holder.subscribe_peer.peer.connected
