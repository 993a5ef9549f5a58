"""A thin uplink: audio waits, and what arrives is little."""

from sfu.machines.repair.thin_uplink import ThinUplink

MS = 1_000_000
SECOND = 1000 * MS
CLOCK = 48_000


def hear(uplink: ThinUplink, seconds: float, *, since: int = 0, wait: int = 0, rate: float | None = 90_000.0) -> int:
    """Let a packet of audio come every 20 ms, each `wait` ms later than it could; return the time of the last."""
    at = since
    for number in range(int(seconds * 50)):
        sent = since + number * 20 * MS
        at = sent + wait * MS
        uplink.hear(1, sent * CLOCK // SECOND & 0xFFFFFFFF, at, CLOCK, rate)
    return at


def test_a_link_on_which_audio_waits_for_a_second_is_thin_for_a_while() -> None:
    uplink = ThinUplink()
    hear(uplink, 2)
    assert not uplink.may_be_thin(2 * SECOND)
    hear(uplink, 0.9, since=2 * SECOND, wait=200)
    assert not uplink.is_thin(3 * SECOND)
    assert uplink.may_be_thin(3 * SECOND)
    at = hear(uplink, 0.5, since=2900 * MS, wait=200)
    assert uplink.is_thin(at)
    assert uplink.is_thin(at + 9 * SECOND)
    assert not uplink.is_thin(at + 11 * SECOND)


def test_a_link_on_which_nothing_waits_is_not_thin_however_little_it_carries() -> None:
    uplink = ThinUplink()
    at = hear(uplink, 5, wait=20)
    assert not uplink.may_be_thin(at)


def test_a_link_that_carries_much_is_not_thin_however_long_audio_waits() -> None:
    uplink = ThinUplink()
    hear(uplink, 1, rate=300_000.0)
    at = hear(uplink, 3, since=SECOND, wait=250, rate=300_000.0)
    assert not uplink.may_be_thin(at)


def test_what_is_not_measured_yet_decides_nothing() -> None:
    uplink = ThinUplink()
    hear(uplink, 0.2, rate=None)
    at = hear(uplink, 3, since=SECOND // 5, wait=250, rate=None)
    assert uplink.may_be_thin(at)
    assert not uplink.is_thin(at)


def test_a_microphone_that_is_turned_off_waits_no_more() -> None:
    uplink = ThinUplink()
    hear(uplink, 1)
    at = hear(uplink, 0.5, since=SECOND, wait=200)
    assert uplink.may_be_thin(at)
    uplink.hear_nothing()
    assert not uplink.may_be_thin(at)


def test_a_new_layer_whose_rate_is_not_measured_yet_makes_no_link_thin() -> None:
    uplink = ThinUplink()
    hear(uplink, 1, rate=900_000.0)
    at = hear(uplink, 3, since=SECOND, wait=250, rate=None)
    assert not uplink.may_be_thin(at)


def test_a_publisher_that_pauses_its_camera_has_a_thin_uplink() -> None:
    uplink = ThinUplink()
    uplink.told(SECOND)
    assert uplink.is_thin(30 * SECOND)
    assert not uplink.is_thin(32 * SECOND)


def test_a_slow_clock_is_no_queue() -> None:
    """One in ten thousand, for an hour: 360 ms in all."""
    uplink = ThinUplink()
    for second in range(3600):
        at = second * SECOND
        uplink.hear(1, int(second * CLOCK * 0.9999) & 0xFFFFFFFF, at, CLOCK, 90_000.0)
        assert not uplink.may_be_thin(at)


def test_a_clock_that_is_wrong_is_no_queue() -> None:
    uplink = ThinUplink()
    for number in range(1000):
        at = number * 20 * MS
        uplink.hear(1, number * 640, at, CLOCK, 90_000.0)
        assert not uplink.is_thin(at)


def test_another_microphone_starts_anew() -> None:
    uplink = ThinUplink()
    hear(uplink, 1)
    uplink.hear(2, 123_456_789, 2 * SECOND, CLOCK, 90_000.0)
    assert not uplink.may_be_thin(2 * SECOND)
    uplink.hear(2, 3_000_000_000, 3 * SECOND, CLOCK, 90_000.0)  # its timestamps jump
    uplink.hear(2, 3_000_000_960, 3020 * MS, CLOCK, 90_000.0)
    assert not uplink.may_be_thin(3020 * MS)
