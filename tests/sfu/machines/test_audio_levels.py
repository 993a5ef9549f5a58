"""The active speaker: found quickly, kept during a cough, remembered in silence."""

from sfu.machines.audio_levels import AudioLevels
from sfu.machines.loudness import Loudness

MS = 1_000_000


class Room:
    """Plays levels (−dBov) of participants for a while, in 20 ms packets; updates every 100 ms."""

    def __init__(self):
        self.levels = AudioLevels()
        self.voices = {}
        self.now = 0
        self.changes = []

    def play(self, milliseconds, **levels):
        for _ in range(milliseconds // 20):
            self.now += 20 * MS
            for key, level in levels.items():
                self.voices.setdefault(key, Loudness()).hear(level, level < 60, self.now)
            if self.now % (100 * MS) == 0 and self.levels.update(self.voices, self.now):
                self.changes.append((self.now // MS, self.levels.speaker))
        return self.levels.speaker


def test_nobody_speaks_in_silence():
    room = Room()
    assert room.play(2000, alice=127, bob=70) is None
    assert room.levels.loudest(3) == []


def test_the_first_to_speak_is_found_within_300_ms():
    room = Room()
    room.play(1000, alice=127, bob=127)
    assert room.play(300, alice=30, bob=127) == "alice"
    assert room.changes[0][0] <= 1300


def test_the_next_speaker_takes_over_within_a_second():
    room = Room()
    room.play(2000, alice=30, bob=127)
    room.play(1000, alice=127, bob=30)
    assert room.changes[-1][1] == "bob"
    assert room.changes[-1][0] < 3000


def test_a_cough_does_not_take_over():
    room = Room()
    room.play(2000, alice=35, bob=127)
    room.play(200, alice=35, bob=10)
    room.play(2000, alice=35, bob=127)
    assert [speaker for _, speaker in room.changes] == ["alice"]


def test_the_louder_of_two_takes_over_for_good():
    room = Room()
    room.play(2000, alice=40, bob=127)
    room.play(3000, alice=40, bob=20)
    assert [speaker for _, speaker in room.changes] == ["alice", "bob"]


def test_equals_do_not_alternate():
    room = Room()
    room.play(1000, alice=30, bob=127)
    for _ in range(20):
        room.play(500, alice=30, bob=31)
        room.play(500, alice=31, bob=30)
    assert [speaker for _, speaker in room.changes] == ["alice"]


def test_the_last_speaker_is_remembered_while_all_are_silent():
    room = Room()
    room.play(1000, alice=30, bob=127)
    assert room.play(10_000, alice=127, bob=127) == "alice"


def test_packets_that_stop_are_silence():
    """With DTX, or muted, no packets come."""
    room = Room()
    room.play(1000, alice=30)
    room.play(1000, bob=127)
    assert room.play(500, bob=30) == "bob"


def test_the_noise_of_a_room_is_no_speech():
    room = Room()
    room.play(8000, alice=30, bob=49)
    for _ in range(4):
        assert room.play(700, alice=30, bob=49) == "alice"
        assert room.play(700, alice=127, bob=49) == "alice"
    assert room.levels.loudest(3) == ["alice"]
    assert room.play(1000, alice=127, bob=30) == "bob"


def test_who_leaves_is_no_speaker():
    room = Room()
    room.play(1000, alice=30, bob=50)
    del room.voices["alice"]
    room.levels.remove("alice")
    assert room.levels.speaker is None
    room.play(300, bob=127)
    assert room.changes[-1][1] is None or room.changes[-1][1] == "bob"


def test_the_loudest_are_in_order():
    room = Room()
    room.play(1000, alice=40, bob=20, carol=30, dave=127)
    assert room.levels.loudest(2) == ["bob", "carol"]
    assert room.levels.loudest(9) == ["bob", "carol", "alice"]
    room.play(6000, alice=40, bob=127, carol=127, dave=127)
    assert room.levels.loudest(9) == ["alice"]
