"""Rooms with end-to-end encryption: whatever participants consent to, recorder and inference get nothing."""

from sfu.api import signaling, signaling_values
from sfu.api.desired_state import DesiredRecording, DesiredState
from sfu.api.sink_records import AnalysisWanted, CaptionsAvailable, SinkHello
from sfu.peers.sinks.tap import Purpose
from tests.sfu.rooms.stage import IN_RED, MS, VIDEO, VIDEO_SSRC, Person, RtcClient, Stage, audio, publish, video

RECORDING = DesiredRecording(recording="rec-1", started_at=1, started_by="ann", consent_text="text-1")


class SealedCall:
    """Ann publishes and agrees to everything; a recorder and an inference process are attached."""

    def __init__(self, *, e2ee: bool) -> None:
        self.stage = stage = Stage()
        self._seq = 0
        self.ann = stage.join("ann")
        self.apply(1, e2ee=e2ee)
        self.client: RtcClient = publish(stage, self.ann, [IN_RED, VIDEO + VIDEO_SSRC])
        sinks = stage.node.sinks
        self.recorder = sinks.attach(SinkHello(sink="recorder", instance="one"), stage.now)
        inference = sinks.attach(SinkHello(sink="inference", instance="one"), stage.now)
        for record in (CaptionsAvailable(available=True), AnalysisWanted(audio=True, video=True)):
            stage.node.sink_control.handle(inference, record, stage.now)
        agreed = signaling.Consent(text="text-1", recording=True, captions=True, analysis=True)
        stage.say(self.ann, agreed)
        self.flow()

    def apply(self, version: int, *, e2ee: bool) -> None:
        state = DesiredState(room="r", version=version, recording=RECORDING, e2ee=e2ee)
        self.stage.node.apply(state, self.stage.now)
        self.stage.deliver()

    def flow(self) -> None:
        for _ in range(20):
            self._seq += 1
            self.client.send(audio(self._seq), video(self._seq))
            self.stage.run(20 * MS)

    @property
    def tapped(self) -> set[Purpose]:
        return {tap.purpose for tap in self.stage.node.sinks.taps.values()}


def captions(person: Person) -> signaling_values.CaptionsState:
    return person.of(signaling.CaptionsChanged)[-1].state


def test_without_encryption_both_get_what_was_agreed_to() -> None:
    call = SealedCall(e2ee=False)
    assert call.tapped == {Purpose.RECORDER, Purpose.INFERENCE}
    assert captions(call.ann).available
    assert "red/48000/2" in call.ann.last(signaling.Answer).sdp


def test_nobody_gets_anything_of_a_sealed_room() -> None:
    call = SealedCall(e2ee=True)
    assert call.tapped == set()
    assert not call.stage.node.sinks.recordings
    assert not call.recorder.queue
    assert not captions(call.ann).available
    assert "end-to-end encrypted" in captions(call.ann).reason
    assert not any(changed.state.active for changed in call.ann.of(signaling.RecordingChanged))


def test_a_room_that_is_sealed_later_takes_it_all_back() -> None:
    call = SealedCall(e2ee=False)
    call.apply(2, e2ee=True)
    call.flow()
    assert call.tapped == set()
    assert "end-to-end encrypted" in captions(call.ann).reason
    assert not call.ann.of(signaling.RecordingChanged)[-1].state.active


def test_sound_does_not_come_in_red_that_nobody_could_undo() -> None:
    assert "red/48000/2" not in SealedCall(e2ee=True).ann.last(signaling.Answer).sdp
