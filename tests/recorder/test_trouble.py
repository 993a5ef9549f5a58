"""Trouble with the disk: from the first refusal until it accepts data again."""

import errno

import pytest

from recorder.trouble import FAILS, FULL, Trouble, sentence

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, FULL), (errno.EDQUOT, FULL), (errno.EIO, FAILS), (errno.EROFS, FAILS)]
)
def test_what_people_are_told(number, expected):
    assert sentence(OSError(number, "x")) == expected


def test_all_is_well_at_first():
    assert Trouble().reason(50 * SECOND) == ""


def test_it_lasts_until_something_is_kept_and_nothing_refused_for_two_seconds():
    trouble = Trouble()
    trouble.refused(FULL, 50 * SECOND)
    assert trouble.reason(50 * SECOND) == FULL
    trouble.kept()
    assert trouble.reason(51 * SECOND) == FULL
    trouble.refused(FULL, 51 * SECOND)  # the sound still fitted, the picture did not
    assert trouble.reason(53 * SECOND) == FULL
    trouble.kept()
    assert trouble.reason(53 * SECOND) == ""


def test_who_sends_nothing_any_more_finds_it_over_too():
    trouble = Trouble()
    trouble.refused(FULL, 50 * SECOND)
    assert trouble.reason(59 * SECOND) == FULL
    assert trouble.reason(60 * SECOND) == ""
