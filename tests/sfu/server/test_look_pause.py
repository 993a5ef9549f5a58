"""The pause between reads of the sockets: by the cost of a read, and by the time there is for reads."""

from sfu.server.look_pause import MAX_NS, MIN_NS, LookPause

_SECOND = 1_000_000_000


def pause_after(*, look: int, datagram: int, pauses: int) -> LookPause:
    """A second of looks that take so long for themselves and for each datagram; `pauses` lie between them."""
    made = LookPause()
    now = 0
    for number in range(100_000):
        found = number % 7
        ended = now + look + found * datagram
        made.looked(found, now, ended)
        now = ended + pauses
        if now > _SECOND:
            break
    return made


def test_what_a_look_costs_is_told_from_what_datagrams_cost() -> None:
    assert 19_000 < pause_after(look=20_000, datagram=8_000, pauses=200_000).cost < 21_000


def test_an_idle_node_looks_often_and_a_busy_one_rarely() -> None:
    assert pause_after(look=15_000, datagram=5_000, pauses=2_000_000).pause == MIN_NS
    assert pause_after(look=15_000, datagram=60_000, pauses=3_000).pause == MAX_NS


def test_cheaper_looks_are_more_frequent() -> None:
    cheap = pause_after(look=60_000, datagram=20_000, pauses=300_000)
    dear = pause_after(look=120_000, datagram=1_000, pauses=300_000)
    assert MIN_NS < cheap.pause < dear.pause < MAX_NS
