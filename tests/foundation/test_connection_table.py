"""Bounded connections: which connection is closed to make room for which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.connection_table import ConnectionTable, Full, host_of


def test_the_longest_idle_goes_first() -> None:
    table: ConnectionTable[int] = ConnectionTable(3, 3)
    assert [table.add(number, f"h{number}") for number in range(3)] == [None, None, None]
    table.busy(0)
    assert table.add(3, "h3") == 1
    table.idle(0)
    assert table.add(4, "h4") == 2
    assert table.add(5, "h5") == 3
    assert table.add(6, "h6") == 0


def test_an_address_makes_room_among_its_own() -> None:
    table: ConnectionTable[int] = ConnectionTable(8)
    table.add(0, "other")
    assert table.add(1, "one") is None
    assert table.add(2, "one") is None
    assert table.add(3, "one") == 1
    table.busy(2)
    table.busy(3)
    with pytest.raises(Full):
        table.add(4, "one")
    assert table.add(5, "other") is None


def test_a_gateway_has_no_share_of_its_own() -> None:
    table: ConnectionTable[int] = ConnectionTable(8)
    assert [table.add(number, "gateway", shares=False) for number in range(8)] == [None] * 8
    assert table.add(8, "gateway", shares=False) == 0


def test_busy_ones_are_never_closed() -> None:
    table: ConnectionTable[int] = ConnectionTable(4, 4)
    for number in range(4):
        table.add(number, "h")
        table.busy(number)
    with pytest.raises(Full):
        table.add(4, "another")
    table.remove(2)
    assert table.add(4, "another") is None


def test_customers_of_ipv6_have_a_64() -> None:
    assert host_of("2001:db8:1:2:aaaa::1") == host_of("2001:db8:1:2:bbbb::2") != host_of("2001:db8:1:3::1")
    assert host_of("::ffff:192.0.2.1") == host_of("192.0.2.1") == "192.0.2.1"
    assert host_of("fe80::1%eth0") == host_of("fe80::2")
    assert host_of("not an address") == "not an address"


@given(st.lists(st.tuples(st.sampled_from(["add", "idle", "busy", "remove"]), st.integers(0, 9), st.integers(0, 3))))
def test_bounds_hold_whatever_happens(deeds: list[tuple[str, int, int]]) -> None:
    table: ConnectionTable[int] = ConnectionTable(6, 3)
    hosts: dict[int, int] = {}
    busy: set[int] = set()
    for deed, number, host in deeds:
        if deed == "add" and number not in hosts:
            try:
                victim = table.add(number, f"h{host}")
            except Full:
                continue
            if victim is not None:
                assert victim not in busy
                del hosts[victim]
            hosts[number] = host
        elif deed == "remove":
            table.remove(number)
            hosts.pop(number, None)
            busy.discard(number)
        elif deed in {"idle", "busy"} and number in hosts:
            getattr(table, deed)(number)
            (busy.add if deed == "busy" else busy.discard)(number)
        assert set(table) == set(hosts)
        assert len(table) <= 6
        assert all(list(hosts.values()).count(one) <= 3 for one in range(4))
