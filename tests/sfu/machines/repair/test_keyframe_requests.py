"""Keyframe requests: sent at once, then throttled, until a keyframe arrives."""

from sfu.machines.repair.keyframe_requests import KeyframeRequests

MS = 1_000_000


def sent(requests, until, step=MS):
    return [now // MS for now in range(0, until, step) if requests.due(now)]


def test_nothing_is_sent_unasked():
    requests = KeyframeRequests()
    assert requests.timer() is None
    assert sent(requests, 2000 * MS) == []


def test_a_request_goes_out_at_once_and_repeats():
    requests = KeyframeRequests()
    requests.request(0)
    assert requests.timer() == 0
    assert sent(requests, 1600 * MS) == [0, 500, 1000, 1500]


def test_a_keyframe_ends_the_asking():
    requests = KeyframeRequests()
    requests.request(0)
    assert requests.due(0)
    requests.keyframe(80 * MS)
    assert requests.timer() is None
    assert sent(requests, 2000 * MS) == []


def test_many_requests_are_one():
    requests = KeyframeRequests()
    out = 0
    for now in range(0, 2000 * MS, MS):
        requests.request(now)
        out += requests.due(now)
    assert out == 4


def test_a_request_after_a_keyframe_waits_for_the_interval():
    requests = KeyframeRequests()
    requests.request(0)
    requests.due(0)
    requests.keyframe(100 * MS)
    requests.request(200 * MS)
    assert requests.timer() == 500 * MS
    assert not requests.due(499 * MS)
    assert requests.due(500 * MS)


def test_the_asking_ends_when_nobody_answers():
    requests = KeyframeRequests(max_tries=3)
    requests.request(0)
    assert len(sent(requests, 10_000 * MS)) == 3
    assert requests.timer() is None
    requests.request(10_000 * MS)
    assert requests.due(10_000 * MS)


def test_a_keyframe_from_before_the_request_does_not_answer_it():
    requests = KeyframeRequests()
    requests.request(100 * MS)
    requests.keyframe(90 * MS)
    assert requests.due(100 * MS)
