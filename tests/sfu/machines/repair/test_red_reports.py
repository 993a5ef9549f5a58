"""Reports on sound in RED are interpreted correctly, even if the sender's counting rate is too low."""

import random

import pytest

from sfu.formats.rtcp import SenderReport
from sfu.machines.repair.red_reports import RedReports

NTP_SECOND = 1 << 32
RATE = 48_000
PACKET = 960


def sent(seed, khz, *, start=2**32 - 5_000_000, late=0.2):
    """Reports each 5 s of a sender that counts at so many kHz: (told, the newest packet's timestamp, the truth)."""
    dice = random.Random(seed)
    for number in range(1, 20):
        now_ms = number * 5000 + dice.randrange(20)
        captured_ms = (now_ms - 15) // 20 * 20 - 5
        last = start + captured_ms * 48
        told = SenderReport(1, now_ms * NTP_SECOND // 1000, (last + (now_ms - captured_ms) * khz) % 2**32, 1, 1)
        newest = last - PACKET if dice.random() < late else last  # it waits for the pacer, and the report does not
        yield told, newest % 2**32, (start + now_ms * 48) % 2**32


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("khz", [8, 48])
def test_reports_are_on_one_clock(seed, khz):
    reports = RedReports()
    for number, (told, newest, truth) in enumerate(sent(seed, khz)):
        meant = reports.meant(told, newest)
        is_close = abs((meant.rtp_timestamp - truth + 2**31) % 2**32 - 2**31) <= 48
        assert is_close or number == 0  # the first has none to be compared with
        assert (meant.ntp, meant.packets, meant.octets) == (told.ntp, told.packets, told.octets)


def test_what_is_told_is_wrong():
    """Or nothing would have to be undone."""
    errors = [(truth - told.rtp_timestamp) % 2**32 for told, _, truth in sent(1, 8)]
    assert min(errors) >= 600
    assert max(errors) - min(errors) >= 200
