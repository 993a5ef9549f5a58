"""Repeated log lines are written a few times, then counted; nothing is dropped silently."""

import io
import logging
from collections.abc import Iterator

import pytest

from foundation.log_limit import Kind, Limit, LimitedHandler
from tests.support.waiting import until

WARNING = Kind("sfu.server", logging.WARNING, "no room for %s")
OTHER = Kind("sfu.server", logging.WARNING, "no key for %s")


def test_the_first_lines_of_a_kind_are_written_and_the_rest_counted() -> None:
    limit = Limit(3, 10.0)
    assert [limit.take(WARNING, number / 100) for number in range(500)].count(True) == 3
    assert limit.take(OTHER, 5.0)
    assert limit.over(9.9) == []
    assert limit.over(10.0) == [(WARNING, 497)]
    assert limit.take(WARNING, 10.1)
    assert limit.over(15.0) == []  # of the other kind nothing was left out


def test_kinds_are_bounded() -> None:
    limit = Limit(3, 10.0)
    written = sum(limit.take(Kind("x", logging.INFO, str(number)), 0.0) for number in range(100_000))
    assert written < 1100
    assert sum(left_out for _, left_out in limit.over(10.0)) == 100_000 - written


@pytest.fixture
def logged() -> Iterator[tuple[logging.Logger, io.StringIO, LimitedHandler]]:
    stream = io.StringIO()
    handler = LimitedHandler(stream, Limit(3, 0.5))
    logger = logging.getLogger("tests.log_limit")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger, stream, handler
    logger.removeHandler(handler)
    handler.close()


def test_a_flood_is_summed_up_though_nothing_else_is_logged(
    logged: tuple[logging.Logger, io.StringIO, LimitedHandler],
) -> None:
    logger, stream, _ = logged
    for number in range(1000):
        logger.warning("a connection could not be accepted: %s", number)
    logger.warning("something else")
    assert stream.getvalue().count("could not be accepted") <= 6
    assert "something else" in stream.getvalue()
    until(lambda: " more lines in " in stream.getvalue(), 30)
    assert "like: a connection could not be accepted: %s" in stream.getvalue()


def test_what_is_left_out_is_told_at_the_end_and_debugging_is_not_limited(
    logged: tuple[logging.Logger, io.StringIO, LimitedHandler],
) -> None:
    logger, stream, handler = logged
    for number in range(50):
        logger.debug("step %s", number)
    assert stream.getvalue().count("step") == 50
    for number in range(10):
        logger.error("broken %s", number)
    handler.close()
    assert "more lines in 0 s like: broken %s" in stream.getvalue()
