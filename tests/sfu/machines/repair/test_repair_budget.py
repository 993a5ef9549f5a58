"""The budget of repairs, shared fairly by all peers."""

from sfu.machines.repair.repair_budget import RepairBudget, SharedBucket

_SECOND = 1_000_000_000


def test_one_takes_an_eighth_of_what_is_left_and_all_together_what_there_is():
    bucket = SharedBucket(rate=1000, burst=800)
    assert bucket.grant(1000, 0) == 100
    granted = [bucket.grant(1000, 0) for _ in range(100)]
    assert granted == sorted(granted, reverse=True)
    assert sum(granted) == 700
    assert bucket.grant(1, 0) == 0
    assert bucket.grant(3, _SECOND) == 3


def test_who_asks_for_little_gets_it_beside_one_who_asks_for_much():
    bucket = SharedBucket(rate=1000, burst=1000)
    little = much = 0
    for tick in range(1000):
        much += bucket.grant(100, tick * _SECOND // 100)
        little += bucket.grant(1, tick * _SECOND // 100)
    assert little == 1000
    assert much + little <= 1000 + 10 * 1000


def test_the_bound_holds_whatever_is_asked_for():
    budget = RepairBudget()
    asked = sum(budget.nacks.grant(250, tick * _SECOND // 1000) for tick in range(10_000) for _ in range(5))
    assert asked <= 4_000 + 10 * 4_000
