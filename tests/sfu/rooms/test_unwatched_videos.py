"""A video of one stream is stopped at its publisher while nobody needs it (for simulcast, see test_adaptation)."""

from sfu.api import signaling
from sfu.api.desired_state import DesiredRecording, DesiredState
from sfu.api.facts import QualityMeasured
from sfu.api.signaling_values import WantedTrack
from sfu.api.sink_records import SinkHello
from tests.sfu.rooms.simulcast_call import ONE_SIZE, Call, Camera
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)
RECORDING = DesiredRecording(recording="rec-1", started_at=1, started_by="p0", consent_text="text-1")


class Watched(Call):
    """A publisher that obeys or ignores messages about layers, and a viewer."""

    def __init__(self, *, obeys: bool = True, estimates: bool = True) -> None:
        super().__init__(WIDE, sizes=ONE_SIZE, estimates=estimates)
        self._obeys = obeys

    @property
    def camera(self) -> Camera:
        return self.cameras[0]

    @property
    def told(self) -> list[list[str]]:
        return [layers.active for layers in self.camera.person.of(signaling.Layers)]

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):  # of three frames each
            self.camera.resting = set(self.camera.rates) - set(self.told[-1]) if self._obeys and self.told else set()
            super().run(0.099)

    def watch(self, on: bool) -> None:
        self.stage.say(self.bob, signaling.Subscribe(tracks=[WantedTrack(track=self.camera.track, on=on)]))


def test_what_is_watched_never_rests() -> None:
    call = Watched()
    call.run(15)
    assert call.told == []
    assert len(call.viewer.pictures) > 15 * 25


def test_it_rests_after_ten_seconds_and_is_back_within_one() -> None:
    for estimates in (True, False):
        call = Watched(estimates=estimates)
        call.run(2)
        call.watch(False)
        call.run(9)
        assert call.told == []
        call.run(2)
        assert call.told == [[]]
        call.run(20)
        before = len(call.viewer.pictures)
        call.watch(True)
        call.run(0.8)
        assert call.told == [[], [""]]
        assert len(call.viewer.pictures) > before


def test_a_publisher_that_goes_on_all_the_same_does_no_harm() -> None:
    call = Watched(obeys=False)
    call.run(2)
    call.watch(False)
    call.run(15)
    before = len(call.viewer.pictures)
    call.watch(True)
    call.run(0.5)
    assert call.told == [[], [""]]
    assert len(call.viewer.pictures) > before
    call.run(5)
    assert len(call.viewer.pictures) > before + 5 * 25


def test_a_recording_wakes_it_and_keeps_it_awake() -> None:
    call = Watched()
    call.watch(False)
    call.run(12)
    assert call.told == [[]]
    node = call.stage.node
    node.sinks.attach(SinkHello(sink="recorder", instance="one"), call.stage.now)
    node.apply(DesiredState(room="r", version=1, recording=RECORDING), call.stage.now)
    call.stage.say(call.camera.person, signaling.Consent(text="text-1", recording=True))
    call.run(0.5)
    assert call.told == [[], [""]]
    call.run(20)
    assert call.told == [[], [""]]


def test_a_rest_is_no_freeze_of_the_publishers() -> None:
    call = Watched()
    call.watch(False)
    call.run(30)
    call.watch(True)
    call.run(5)
    track = call.camera.track
    call.stage.say(call.camera.person, signaling.Leave())
    (report,) = [fact for fact in call.stage.facts if isinstance(fact, QualityMeasured) and fact.participant == "p0"]
    (video,) = [entry for entry in report.tracks if entry.track == track]
    assert video.freezes == 0


def test_who_resumes_is_told_again() -> None:
    call = Watched()
    call.watch(False)
    call.run(12)
    person, node = call.camera.person, call.stage.node
    secret = person.last(signaling.RoomInfo).resume
    node.session_lost(person.session, call.stage.now)
    call.watch(True)
    call.run(2)
    assert call.told == [[]]  # there is nobody to tell
    node.resume(secret, person.session, call.stage.now)
    call.run(0.5)
    assert call.told == [[], [""]]
