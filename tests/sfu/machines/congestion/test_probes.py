"""Timing of probes, and their measurements."""

from sfu.machines.congestion.probes import ProbeCluster, ProbeControl, ProbeResult, ProbeResults
from sfu.machines.congestion.send_history import PacketResult, SentKind

MS = 1_000_000
SECOND = 1000 * MS
WANTED = 5_000_000.0


def started() -> ProbeControl:
    control = ProbeControl()
    control.start(500_000, 20_000_000)
    return control


def past_the_start() -> ProbeControl:
    control = started()
    for _ in range(2):
        cluster = control.next(500_000, WANTED, 0, is_free=True)
        assert cluster is not None
        control.result(cluster.cluster, ProbeResult(cluster.rate), 0)
    return control


def test_nothing_is_probed_before_media_flow() -> None:
    assert ProbeControl().next(500_000, WANTED, 0, is_free=True) is None


def test_the_start_is_probed_at_two_and_four_times_its_rate() -> None:
    control = started()
    first = control.next(500_000, WANTED, 0, is_free=True)
    assert first is not None
    assert first.rate == 1_000_000
    assert control.next(500_000, WANTED, 10 * MS, is_free=True) is None
    control.result(first.cluster, ProbeResult(1_000_000), 80 * MS)
    second = control.next(1_000_000, WANTED, 80 * MS, is_free=True)
    assert second is not None
    assert second.rate == 2_000_000


def test_the_start_s_probes_wait_until_more_is_wanted_than_is_known_to_fit() -> None:
    control = started()
    assert control.next(500_000, 200_000.0, 0, is_free=True) is None
    assert control.next(500_000, 200_000.0, SECOND, is_free=True) is None
    cluster = control.next(500_000, WANTED, 2 * SECOND, is_free=True)
    assert cluster is not None
    assert cluster.rate == 1_000_000
    control.result(cluster.cluster, ProbeResult(1_000_000), 2 * SECOND)
    cluster = control.next(1_000_000, 900_000.0, 2 * SECOND, is_free=True)
    assert cluster is None
    cluster = control.next(1_000_000, WANTED, 2 * SECOND, is_free=True)
    assert cluster is not None
    assert cluster.rate == 2_000_000


def test_a_cluster_lasts_a_while_and_is_of_five_packets_at_least() -> None:
    cluster = started().next(500_000, WANTED, 0, is_free=True)
    assert cluster is not None
    assert cluster.size == 6000
    cluster = past_the_start().next(2_000_000, WANTED, 0, is_free=True)
    assert cluster is not None
    assert cluster.size == cluster.rate * 25 // 8000


def test_a_failed_start_is_not_followed_by_a_faster_one() -> None:
    control = started()
    cluster = control.next(500_000, WANTED, 0, is_free=True)
    assert cluster is not None
    control.result(cluster.cluster, ProbeResult(600_000), 80 * MS)
    assert control.next(600_000, WANTED, 90 * MS, is_free=True) is None


def test_success_is_followed_by_twice_the_rate_at_once() -> None:
    control = past_the_start()
    cluster = control.next(1_000_000, WANTED, 0, is_free=True)
    assert cluster is not None
    assert cluster.rate == 2_000_000


def test_no_more_is_probed_than_is_wanted() -> None:
    control = past_the_start()
    cluster = control.next(1_000_000, 1_200_000, SECOND, is_free=True)
    assert cluster is not None
    assert cluster.rate == 1_320_000
    assert past_the_start().next(1_000_000, 900_000, SECOND, is_free=True) is None


def test_failures_make_the_next_one_wait_longer() -> None:
    control = past_the_start()
    waits = []
    now = 0
    for _ in range(5):
        began = now
        while (cluster := control.next(1_000_000, WANTED, now, is_free=True)) is None:
            now += 100 * MS
        waits.append((now - began) // SECOND)
        control.result(cluster.cluster, ProbeResult(cluster.rate * 0.5), now)
    assert waits == [0, 2, 3, 3, 3]


def test_a_failure_is_taken_back_if_all_of_the_cluster_shows_a_success() -> None:
    control = past_the_start()
    cluster = control.next(100_000, WANTED, 0, is_free=True)
    assert cluster is not None
    control.result(cluster.cluster, ProbeResult(cluster.rate * 0.8), 0)
    assert control.next(120_000, WANTED, 0, is_free=True) is None
    control.result(cluster.cluster, ProbeResult(cluster.rate), 0)
    following = control.next(cluster.rate, WANTED, 0, is_free=True)
    assert following is not None
    assert following.rate == 2 * cluster.rate
    control.result(cluster.cluster, ProbeResult(cluster.rate), 0)
    assert control.next(cluster.rate, WANTED, 0, is_free=True) is None


def test_a_cluster_that_was_sent_too_slowly_says_nothing_against_the_link() -> None:
    control = past_the_start()
    cluster = control.next(1_000_000, WANTED, 0, is_free=True)
    assert cluster is not None
    control.result(cluster.cluster, ProbeResult(900_000, is_least=True), 0)
    assert control.next(1_000_000, WANTED, SECOND - 1, is_free=True) is None
    following = control.next(1_000_000, WANTED, SECOND, is_free=True)
    assert following is not None
    assert following.rate == 2_000_000
    assert following.size == 2 * cluster.size  # so that lateness matters less
    control.result(following.cluster, ProbeResult(2_000_000, is_least=True), SECOND)
    following = control.next(2_000_000, WANTED, SECOND, is_free=True)
    assert following is not None
    assert following.size == following.rate * 25 // 8000


def test_a_failure_is_taken_back_if_all_of_the_cluster_was_sent_too_slowly() -> None:
    control = past_the_start()
    cluster = control.next(1_000_000, WANTED, 0, is_free=True)
    assert cluster is not None
    control.result(cluster.cluster, ProbeResult(900_000), 0)
    control.result(cluster.cluster, ProbeResult(1_200_000, is_least=True), 0)
    following = control.next(1_200_000, WANTED, 0, is_free=True)
    assert following is not None
    assert following.rate == 2_400_000


def test_clusters_are_stretched_to_a_tenth_of_a_second_at_most() -> None:
    control = past_the_start()
    durations = []
    for began in range(0, 50 * SECOND, 10 * SECOND):
        cluster = control.next(2_000_000, WANTED, began, is_free=True)
        assert cluster is not None
        durations.append(cluster.size * 8000 // cluster.rate)
        control.result(cluster.cluster, ProbeResult(1_000_000, is_least=True), began)
    assert durations == [25, 50, 100, 100, 100]


def test_half_a_success_is_followed_up_soon() -> None:
    control = past_the_start()
    cluster = control.next(1_000_000, WANTED, 0, is_free=True)
    assert cluster is not None
    control.result(cluster.cluster, ProbeResult(1_200_000), 0)
    assert control.next(1_200_000, WANTED, SECOND - 1, is_free=True) is None
    assert control.next(1_200_000, WANTED, SECOND, is_free=True) is not None


def test_a_success_that_tells_nothing_new_is_followed_up_less_soon() -> None:
    control = past_the_start()
    cluster = control.next(2_000_000, 3_000_000, 0, is_free=True)
    for rate, wait in ((2_900_000, 0), (2_950_000, SECOND)):
        assert cluster is not None
        control.result(cluster.cluster, ProbeResult(rate), 0)
        assert control.next(rate, 3_000_000, wait - 1, is_free=True) is None
        cluster = control.next(rate, 3_000_000, wait, is_free=True)
    assert cluster is not None


def test_a_narrow_link_is_probed_shortly_and_at_little_cost() -> None:
    control = past_the_start()
    cluster = control.next(100_000, WANTED, 0, is_free=True)
    assert cluster is not None
    assert cluster.size == cluster.rate * 80 // 8000
    control.result(cluster.cluster, ProbeResult(120_000), 0)
    affordable = cluster.size * 8 * SECOND // 5_000
    assert affordable > 3 * SECOND
    assert control.next(120_000, WANTED, affordable - 1, is_free=True) is None
    assert control.next(120_000, WANTED, affordable, is_free=True) is not None


def test_a_very_narrow_link_is_probed_with_five_packets_all_the_same() -> None:
    cluster = past_the_start().next(40_000, WANTED, 0, is_free=True)
    assert cluster is not None
    assert cluster.size == 5 * 290


def test_where_little_is_sent_only_its_cost_and_a_second_delay_the_next_one() -> None:
    control = past_the_start()
    for began in (0, 4 * SECOND):
        cluster = control.next(2_000_000, WANTED, began, is_free=True)
        assert cluster is not None
        control.result(cluster.cluster, ProbeResult(2_000_000), began)
    later = 5 * SECOND
    assert control.next(2_000_000, WANTED, later, is_free=True) is None
    assert control.next(2_000_000, WANTED, later - 1, is_free=True, is_limited=True) is None
    assert control.next(2_000_000, WANTED, later, is_free=True, is_limited=True) is not None


def test_a_cluster_without_result_is_a_failure() -> None:
    control = past_the_start()
    assert control.next(1_000_000, WANTED, 0, is_free=True) is not None
    assert control.next(1_000_000, WANTED, 2 * SECOND, is_free=True) is None
    assert control.next(1_000_000, WANTED, 5 * SECOND, is_free=True) is not None


def test_a_full_link_is_not_probed() -> None:
    assert past_the_start().next(1_000_000, WANTED, SECOND, is_free=False) is None


def test_after_a_decrease_the_link_is_left_alone_for_a_moment() -> None:
    control = past_the_start()
    control.decreased(SECOND)
    assert control.next(1_000_000, WANTED, SECOND + 900 * MS, is_free=True) is None
    assert control.next(1_000_000, WANTED, 2 * SECOND, is_free=True) is not None


def measure(sent_apart: float, arrived_apart: float, packets: int = 5) -> ProbeResult | None:
    """1000-byte packets, the gaps in ms."""
    results = ProbeResults()
    results.begun(ProbeCluster(1, 2_000_000, 5000))
    found = None
    for number in range(packets):
        sent, arrived = int(number * sent_apart * MS), int(number * arrived_apart * MS)
        found = results.received(PacketResult(sent, arrived, 1000, SentKind.PADDING, 1)) or found
    return found


def test_what_arrives_as_it_was_sent_is_the_rate() -> None:
    assert measure(4, 4) == ProbeResult(2_000_000, is_least=True)


def test_a_cluster_that_arrived_in_part_may_have_been_sent_faster_than_it_seems() -> None:
    assert measure(4, 4, packets=4) == ProbeResult(2_000_000)


def test_what_arrives_slower_is_the_links_rate_less_five_percent() -> None:
    assert measure(4, 8) == ProbeResult(950_000, fills=True)


def test_what_a_busy_machine_sent_in_bursts_says_nothing_against_the_link() -> None:
    """A packet, 20 ms of nothing, then the rest, which arrives at so many ms a packet."""
    for pace, result in ((2.5, True), (9.0, False)):
        results = ProbeResults()
        results.begun(ProbeCluster(1, 2_000_000, 5000))
        found = None
        for number in range(5):
            sent = int((number and 20 + number * 0.1) * MS)
            arrived = int((number and 20 + number * pace) * MS)
            found = results.received(PacketResult(sent, arrived, 1000, SentKind.PADDING, 1)) or found
        assert found is not None
        assert (found.is_least, found.fills) == (result, not result)


def test_what_arrives_much_faster_is_an_error() -> None:
    assert measure(4, 1) is None


def test_too_few_packets_measure_nothing() -> None:
    assert measure(4, 4, packets=3) is None


def test_packets_sent_all_at_once_measure_nothing() -> None:
    assert measure(0, 4) is None


def test_packets_of_no_cluster_measure_nothing() -> None:
    assert ProbeResults().received(PacketResult(0, 0, 1000, SentKind.PADDING, 9)) is None


def test_late_results_of_an_earlier_cluster_do_not_judge_the_present_one() -> None:
    control = started()
    first = control.next(500_000, WANTED, 0, is_free=True)
    assert first is not None
    control.result(first.cluster, ProbeResult(first.rate), MS)
    second = control.next(1_500_000, WANTED, 2 * MS, is_free=True)
    assert second is not None
    control.result(first.cluster, ProbeResult(first.rate), 3 * MS)
    control.result(second.cluster, ProbeResult(second.rate), 4 * MS)
    assert control.next(3_000_000, WANTED, 5 * MS, is_free=True) is not None
