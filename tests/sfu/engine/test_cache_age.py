"""The age limit of a stream's cache: packets too old to be requested make room, on every engine alike."""

import pytest

from sfu.engine.contract import Drop, Engine
from sfu.engine.stream import CACHE_NS
from tests.sfu.engine.table import Publisher, one_to_one, vp8

MS = 1_000_000


@pytest.fixture
def publisher(engine: Engine) -> Publisher:
    made, _ = one_to_one(engine)
    return made


def send(engine: Engine, publisher: Publisher, seq: int, at: int) -> None:
    datagram = publisher.protect(vp8(seq, key=seq == 0))
    engine.process([datagram._replace(arrival=at)], at)


def held(engine: Engine, last: int) -> list[int]:
    return [seq for seq in range(last + 1) if engine.payload(1, seq) is not None]


def test_what_is_older_is_let_go_and_too_late_ever_after(engine: Engine, publisher: Publisher) -> None:
    for seq in (0, 2, 3, 5, 6):
        send(engine, publisher, seq, seq * 100 * MS)
    assert held(engine, 6) == [0, 2, 3, 5, 6]
    now = CACHE_NS + 350 * MS
    send(engine, publisher, 7, now)
    assert held(engine, 7) == [5, 6, 7]
    send(engine, publisher, 4, now)  # late, yet after all that was let go
    send(engine, publisher, 1, now)
    assert held(engine, 7) == [4, 5, 6, 7]
    assert engine.drops[Drop.TOO_LATE] == 1


def test_the_newest_stays_however_old(engine: Engine, publisher: Publisher) -> None:
    send(engine, publisher, 0, 0)
    send(engine, publisher, 1, 100 * CACHE_NS)
    assert held(engine, 1) == [1]
    send(engine, publisher, 3000, 100 * CACHE_NS)
    assert engine.payload(1, 3000) is not None
