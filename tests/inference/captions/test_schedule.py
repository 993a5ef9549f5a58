"""The schedule of recognition and the resulting captions, with simulated speech, transcripts and time."""

import itertools

from inference.captions.schedule import LEAST_CADENCE, MAX_ATTEMPTS, MAX_FINALS, Job, Outcome, Schedule
from inference.messages import Speech
from inference.speech.transcript import Transcript
from sfu.api.sink_records import TrackOpened
from tests.inference.material import track_opened

SECOND = 1_000_000_000
MS = 1_000_000


def heard(text: str, language: str = "en", **fields: float) -> Transcript:
    values = {"probability": 0.9, "detected_probability": 0.9, "no_speech": 0.01, "logprob": -0.1, "compression": 1.0}
    return Transcript(text=text, language=language, detected=language, tokens=5, looped=False, **(values | fields))


class Speaker:
    """Says seconds of speech into a schedule."""

    def __init__(self, schedule: Schedule, handle: int = 1) -> None:
        self.schedule = schedule
        self.track: TrackOpened = track_opened(handle, opened_at=0)
        self.begin = 0
        self.samples = 0

    def say(self, seconds: float, now: int, **fields: bool) -> list[Outcome]:
        count = int(seconds * 16_000)
        self.samples += count
        piece = Speech(
            handle=self.track.handle, begin=self.begin, start_ms=self.begin // 16,
            end_ms=(self.begin + self.samples) // 16, samples=self.samples, voiced_ms=self.samples // 16,
            pcm=b"\1\0" * count, **fields,
        )  # fmt: skip
        outcomes = self.schedule.speech(self.track, piece, now)
        if piece.final:
            self.begin, self.samples = self.begin + self.samples + 16_000, 0
        return outcomes


def job(schedule: Schedule, now: int, most: int = 4) -> Job:
    found = schedule.next_job(now, most)
    assert found is not None
    return found


def texts(outcomes: list[Outcome]) -> list[tuple[str, int, bool]]:
    return [(outcome.caption.text, outcome.caption.rev, outcome.caption.final) for outcome in outcomes]


def test_partials_then_a_final() -> None:
    schedule = Schedule()
    speaker = Speaker(schedule)
    speaker.say(0.5, 0)
    assert schedule.next_job(SECOND, 4) is None  # too little to show
    speaker.say(0.5, SECOND)
    first = job(schedule, SECOND)
    assert texts(schedule.result(first, [heard("hello")], SECOND, SECOND // 5)) == [("hello", 1, False)]
    assert schedule.next_job(2 * SECOND, 4) is None  # nothing new
    speaker.say(1, 2 * SECOND)
    second = job(schedule, 2 * SECOND)
    assert texts(schedule.result(second, [heard("hello")], 2 * SECOND, SECOND // 5)) == []  # shown already
    speaker.say(0.5, 3 * SECOND, final=True)
    third = job(schedule, 3 * SECOND)
    done = schedule.result(third, [heard("hello you")], 3 * SECOND, SECOND // 5)
    assert texts(done) == [("hello you", 2, True)]
    assert done[0].latency == 3 * SECOND - 2500 * MS
    assert schedule.next_job(9 * SECOND, 4) is None


def test_the_pass_in_the_final_pause_is_the_final() -> None:
    schedule = Schedule()
    speaker = Speaker(schedule)
    speaker.say(2, 0, paused=True)
    schedule.result(job(schedule, SECOND), [heard("hello")], SECOND, 1)
    assert texts(speaker.say(0, SECOND, final=True)) == [("hello", 2, True)]
    assert schedule.next_job(2 * SECOND, 4) is None
    speaker.say(2, 5 * SECOND, paused=True)
    running = job(schedule, 5 * SECOND)
    assert speaker.say(0, 5 * SECOND, final=True) == []  # while the pass runs
    assert texts(schedule.result(running, [heard("again")], 6 * SECOND, 1)) == [("again", 1, True)]
    assert schedule.next_job(9 * SECOND, 4) is None


def test_a_partial_ends_where_the_recogniser_stopped_hearing() -> None:
    schedule = Schedule()
    speaker = Speaker(schedule)
    speaker.say(2, 0)
    running = job(schedule, 2 * SECOND)
    speaker.say(1, 3 * SECOND)
    (partial,) = schedule.result(running, [heard("hello")], 3 * SECOND, 1)
    assert (partial.caption.end_ms, partial.latency) == (2000, SECOND)


def test_finals_go_before_partials_and_windows_do_not_mix() -> None:
    schedule = Schedule()
    speakers = [Speaker(schedule, handle) for handle in range(1, 5)]
    speakers[0].say(3, 0)
    speakers[1].say(8, 0, final=True)
    speakers[2].say(2, 0, final=True)
    speakers[3].say(7, 0, final=True)
    assert [u.track.handle for u in job(schedule, SECOND).utterances] == [2, 4]
    assert [u.track.handle for u in job(schedule, SECOND).utterances] == [3]
    assert [u.track.handle for u in job(schedule, SECOND).utterances] == [1]


def test_partials_back_off_when_the_recogniser_is_slow_or_many_speak() -> None:
    def cadence(speakers: int, cost: int) -> int:
        schedule = Schedule()
        talking = [Speaker(schedule, handle) for handle in range(speakers)]
        now = 0
        for _ in range(20):
            for speaker in talking:
                speaker.say(1, now)
            while (found := schedule.next_job(now, 4)) is not None:
                schedule.result(found, [heard("a")] * len(found.clips), now, cost * len(found.clips))
            now += 60 * SECOND
        talking[0].say(1, now)
        due = schedule.timer()
        assert due is not None
        return due - (now - 60 * SECOND)

    assert cadence(1, SECOND // 10) == LEAST_CADENCE
    assert cadence(1, SECOND) > 1.9 * SECOND
    assert cadence(4, SECOND // 4) > 1.9 * SECOND


def test_what_is_no_speech_takes_back_the_partial() -> None:
    reasons: list[str] = []
    schedule = Schedule((), reasons.append)
    speaker = Speaker(schedule)
    speaker.say(1, 0)
    schedule.result(job(schedule, SECOND), [heard("thank you")], SECOND, 1)
    speaker.say(1, SECOND, final=True)
    noise = heard("thank you", no_speech=0.9, logprob=-0.9)
    assert texts(schedule.result(job(schedule, SECOND), [noise], SECOND, 1)) == [("", 2, True)]
    speaker.say(1, SECOND, final=True)
    assert schedule.result(job(schedule, SECOND), [noise], SECOND, 1) == []  # nothing was shown
    assert speaker.say(0.1, SECOND, final=True, discard=True) == []
    assert reasons == ["no_speech", "no_speech", "too_short"]


def test_a_failing_recogniser_is_tried_again_then_the_partial_stands() -> None:
    reasons: list[str] = []
    schedule = Schedule((), reasons.append)
    speaker = Speaker(schedule)
    speaker.say(1, 0)
    schedule.result(job(schedule, SECOND), [heard("hello")], SECOND, 1)
    speaker.say(1, SECOND, final=True)
    for _ in range(MAX_ATTEMPTS - 1):
        assert schedule.failed(job(schedule, SECOND), SECOND) == []
    assert texts(schedule.failed(job(schedule, SECOND), SECOND)) == [("hello", 2, True)]
    assert reasons == ["recogniser"]
    assert schedule.next_job(9 * SECOND, 4) is None


def test_overload_is_bounded_and_the_oldest_gives_way() -> None:
    reasons: list[str] = []
    schedule = Schedule((), reasons.append)
    speaker = Speaker(schedule)
    for _ in range(MAX_FINALS + 10):
        speaker.say(1, 0, final=True)
    assert schedule.waiting == MAX_FINALS
    assert reasons == ["overload"] * 10
    assert job(schedule, SECOND).utterances[0].begin == 10 * 2 * 16_000


def test_a_track_that_goes_leaves_what_it_said_unless_consent_went() -> None:
    for usable, expected in ((True, [("hello", 2, True)]), (False, [("", 2, True)])):
        schedule = Schedule()
        speaker = Speaker(schedule)
        speaker.say(1, 0)
        schedule.result(job(schedule, SECOND), [heard("hello")], SECOND, 1)
        assert texts(schedule.forget(1, SECOND, usable=usable)) == expected


def test_consent_that_goes_during_a_pass_stops_its_words() -> None:
    schedule = Schedule()
    speaker = Speaker(schedule)
    speaker.say(2, 0, final=True)
    running = job(schedule, SECOND)
    speaker.say(2, SECOND, final=True)
    assert schedule.forget(1, SECOND, usable=False) == []
    assert schedule.result(running, [heard("secret")], SECOND, 1) == []
    assert schedule.next_job(SECOND, 4) is None


def test_the_language_sticks_to_the_participant() -> None:
    schedule = Schedule(("en", "es"))
    speaker = Speaker(schedule)
    for turn in itertools.count():
        speaker.say(3, 0, final=True)
        asked = job(schedule, turn * SECOND)
        if turn == 2:
            assert asked.clips[0].prior == {"en": 0.4, "es": 1.0, "": 0.0005}
            break
        assert asked.clips[0].prior == {"en": 1.0, "es": 1.0, "": 0.05}
        schedule.result(asked, [heard("hola", "es")], turn * SECOND, 1)
    other = Speaker(schedule, 2)
    other.say(3, 0, final=True)
    assert job(schedule, SECOND).clips[0].prior == {"en": 1.0, "es": 1.0, "": 0.05}


def test_utterances_have_names_of_their_own() -> None:
    schedule = Schedule()
    speakers = [Speaker(schedule, 1), Speaker(schedule, 2)]
    names = []
    for _ in range(3):
        for speaker in speakers:
            speaker.say(1, 0, final=True)
        found = job(schedule, SECOND)
        names += [o.caption.utterance for o in schedule.result(found, [heard("a")] * 2, SECOND, 1)]
    assert len(set(names)) == 6
