"""Groups of packets, and the deltas between them."""

from sfu.machines.congestion.packet_groups import GroupDelta, PacketGroups

MS = 1_000_000


def deltas(*packets: tuple[float, float, int]) -> list[GroupDelta]:
    """Feed (sent ms, arrived ms, size)."""
    groups = PacketGroups()
    found = [
        groups.received(int(sent * MS), int(arrived * MS), size, int(arrived * MS)) for sent, arrived, size in packets
    ]
    return [delta for delta in found if delta is not None]


def test_packets_sent_within_five_ms_are_one_group() -> None:
    assert deltas((0, 10, 100), (4, 14, 100), (20, 30, 300), (24, 36, 300), (40, 50, 50)) == [
        GroupDelta(20 * MS, 22 * MS, 400)
    ]


def test_a_delta_needs_two_complete_groups() -> None:
    assert deltas((0, 0, 1), (20, 20, 1)) == []
    assert len(deltas((0, 0, 1), (20, 20, 1), (40, 40, 1))) == 1


def test_what_a_link_delivered_in_a_burst_is_one_group() -> None:
    apart = deltas((0, 0, 1), (20, 60, 1), (40, 61, 1), (60, 62, 1), (80, 80, 1))
    assert apart == [GroupDelta(60 * MS, 62 * MS, 2)]


def test_a_packet_from_before_the_group_is_passed_over() -> None:
    assert deltas((0, 0, 1), (20, 20, 1), (2, 21, 1), (40, 40, 1)) == [GroupDelta(20 * MS, 20 * MS, 0)]


def test_groups_that_arrived_in_reverse_give_no_delta_and_then_begin_anew() -> None:
    backwards = [(20 * n, 1000 - 20 * n, 1) for n in range(5)]
    assert deltas(*backwards) == []
    forwards = [(200 + 20 * n, 2000 + 20 * n, 1) for n in range(5)]
    assert deltas(*backwards, *forwards)[-1] == GroupDelta(20 * MS, 20 * MS, 0)


def test_a_jump_of_the_receivers_clock_begins_anew() -> None:
    groups = PacketGroups()
    found = []
    for number in range(10):
        jump = 10_000 * MS if number >= 5 else 0
        at = number * 20 * MS
        found.append(groups.received(at, at + jump, 1, at))
    assert all(delta is None or delta.arrival == 20 * MS for delta in found)
    assert found[-1] is not None
