"""The SIP user agent: calls in both directions, over networks that lose messages, and what peers get wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sipmessage import Request

from foundation import digest
from foundation.digest import Account, Gatekeeper
from phone.sip.dialog import Dialog, Phase
from phone.sip.events import Ended, Invited, Offered, Pressed, Transferred
from phone.sip.messages import MAX_BYTES, Flow, StreamFraming, parse, respond, split_values
from phone.sip.registration import Registration
from phone.sip.user_agent import UserAgent
from tests.phone.link import ANSWER, OFFER, OURS, SECOND, THEIRS, Link

TO_US = "sip:100@192.0.2.1"


def call_in(link: Link, *, answer: bool = True) -> tuple[Dialog, Dialog]:
    """Place a call from the far side; return its dialog there and here."""
    theirs = link.far.dial(TO_US, OURS, "sip:+442079460123@192.0.2.2", OFFER, link.now)
    link.run(0.1)
    invited = next(event for event in link.events["near"] if isinstance(event, Invited))
    assert (invited.caller, invited.called, invited.offer) == ("+442079460123", "100", OFFER)
    if answer:
        link.near.answer(invited.dialog, ANSWER, link.now)
        link.run(0.2)
    return theirs, invited.dialog


def test_a_call_is_answered_and_hung_up() -> None:
    link = Link()
    theirs, ours = call_in(link)
    assert (theirs.phase, ours.phase) == (Phase.CONFIRMED, Phase.CONFIRMED)
    assert link.kinds("far") == ["Answered"] and link.kinds("near") == ["Invited", "Confirmed"]
    assert not link.near.refused
    link.far.hang_up(theirs, link.now)
    link.run(1)
    assert link.events["near"][-1] == Ended(ours, 0)
    link.run(60)
    assert (len(link.near), len(link.far)) == (0, 0)
    assert (link.near.timer(), link.far.timer()) == (None, None)
    assert len(link.near._incoming.transactions) == len(link.near._requests.transactions) == 0


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 11), max_size=4), st.booleans())
def test_lost_messages_are_sent_again(lost: set[int], we_hang_up: bool) -> None:
    link = Link(loses=lambda number: number in lost)
    theirs = link.far.dial(TO_US, OURS, "sip:1@192.0.2.2", OFFER, link.now)
    for _ in range(200):
        link.run(0.1)
        if link.events["near"]:
            break
    (invited,) = link.events["near"]
    assert isinstance(invited, Invited)
    link.near.answer(invited.dialog, ANSWER, link.now)
    link.run(25)
    assert theirs.phase is Phase.CONFIRMED
    assert link.kinds("near") == ["Invited", "Confirmed"] and link.kinds("far") == ["Answered"]
    leaver, other = (link.near, "far") if we_hang_up else (link.far, "near")
    leaver.hang_up(invited.dialog if we_hang_up else theirs, link.now)
    link.run(60)
    assert link.kinds(other)[-1] == "Ended"
    assert (link.near.timer(), link.far.timer()) == (None, None)


def test_an_answer_that_nobody_acknowledges_ends() -> None:
    link = Link(loses=lambda number: link.sent[number][1].startswith(b"ACK"))
    _, ours = call_in(link)
    link.run(40)
    assert Ended(ours, 408) in link.events["near"]
    assert any(line.startswith("BYE") for line in link.first_lines("near"))


def test_a_caller_gives_up_before_the_answer() -> None:
    link = Link()
    theirs, ours = call_in(link, answer=False)
    link.far.hang_up(theirs, link.now)
    link.run(1)
    assert link.events["near"][-1] == Ended(ours, 487)
    assert [line.split()[1] for line in link.first_lines("near") if line.startswith("SIP")] == ["100", "200", "487"]
    assert link.kinds("far") == []  # it hung up itself
    link.run(60)
    assert (len(link.far), link.far.timer()) == (0, None)


@pytest.mark.parametrize("code", [486, 603, 480])
def test_a_refusal_reaches_the_caller(code: int) -> None:
    link = Link()
    theirs, ours = call_in(link, answer=False)
    link.near.reject(ours, code, link.now)
    link.run(60)
    assert link.events["far"] == [Ended(theirs, code)]
    assert sum(line.startswith("ACK") for line in link.first_lines("far")) == 1


def test_nobody_answers() -> None:
    link = Link(loses=lambda _: True)
    theirs = link.far.dial(TO_US, OURS, "sip:1@192.0.2.2", OFFER, link.now)
    link.run(40)
    assert link.events["far"] == [Ended(theirs, 408)]
    assert len(link.sent) == 7  # T1 doubles (RFC 3261, section 17.1.1.2)


def test_a_peer_holds_and_presses_keys() -> None:
    link = Link()
    theirs, ours = call_in(link)

    def ask(method: str, kind: str, body: str) -> None:
        headers = [("Contact", "<sip:x@192.0.2.2>"), ("Content-Type", kind)]
        link.far._requests.ask_within(
            theirs, method, headers, body.encode(), on_response=lambda *_: None, on_failure=lambda _: None, now=link.now
        )
        link.run(0.1)

    held = OFFER + "a=sendonly\r\n"
    ask("UPDATE", "application/sdp", held)
    assert link.events["near"][-1] == Offered(ours, held)
    link.near.accept_offer(ours, ANSWER, link.now)
    ask("INFO", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")
    assert link.events["near"][-1] == Pressed(ours, "5")
    ask("INFO", "text/plain", "hello")
    ask("PUBLISH", "text/plain", "hello")
    link.run(1)
    answers = [line.split()[1] for line in link.first_lines("near") if line.startswith("SIP")]
    assert answers[-4:] == ["200", "200", "415", "405"]


def test_a_peer_calls_somebody_else_instead() -> None:
    link = Link()
    theirs, ours = call_in(link)

    def notify(status: str) -> None:
        headers = [("Event", "refer"), ("Content-Type", "message/sipfrag")]
        link.far._requests.ask_within(
            theirs, "NOTIFY", headers, status.encode(), on_response=lambda *_: None, on_failure=lambda _: None,
            now=link.now,
        )  # fmt: skip
        link.run(0.1)

    link.near.transfer(ours, "sip:carol@example.org", [("X-A", "b")], link.now)
    link.run(1)
    (refer,) = [data for sender, data in link.sent if sender == "near" and data.startswith(b"REFER")]
    assert b"\r\nRefer-To: <sip:carol@example.org>\r\n" in refer and b"\r\nX-A: b\r\n" in refer
    assert link.events["near"][-1] == Transferred(ours, 405)  # the far side does not do that
    notify("SIP/2.0 180 Ringing")
    notify("SIP/2.0 200 OK")
    notify("SIP/2.0 603 Declined")
    assert link.events["near"][-2:] == [Transferred(ours, 200), Transferred(ours, 603)]


def test_a_session_is_refreshed_or_ends() -> None:
    link = Link()
    theirs, ours = call_in(link)
    assert theirs.session_seconds == ours.session_seconds == 1800 and theirs.we_refresh and not ours.we_refresh
    link.run(3600)
    assert sum(line.startswith("UPDATE") for line in link.first_lines("far")) >= 3
    assert ours.phase is Phase.CONFIRMED
    link.loses = lambda _: True
    link.run(1900)
    assert link.kinds("near")[-1] == link.kinds("far")[-1] == "Ended"


def test_a_session_timer_that_is_too_short_is_refused() -> None:
    link = Link()
    request = _invite().replace(b"Contact:", b"Session-Expires: 30\r\nContact:")
    link.near.receive(request, THEIRS, link.now)
    link.settle()
    assert b"422" in link.sent[0][1] and b"Min-SE: 90" in link.sent[0][1]


ACCOUNT = Account("alice", "secret, with comma")


@pytest.mark.parametrize("right", [True, False])
def test_callers_prove_who_they_are(right: bool) -> None:
    gatekeeper = Gatekeeper(ACCOUNT)
    link = Link(
        near=UserAgent(lambda _: (OURS.host, 5060), gate=lambda *_: gatekeeper),
    )
    account = ACCOUNT if right else ACCOUNT._replace(password="wrong")
    theirs = link.far.dial(TO_US, OURS, "sip:1@192.0.2.2", OFFER, link.now, account=account)
    link.run(5)
    assert link.kinds("near") == (["Invited"] if right else [])
    assert link.kinds("far") == ([] if right else ["Ended"])
    assert theirs.phase is (Phase.EARLY if right else Phase.ENDED)
    assert (link.near.refused["credentials"] > 0) is not right


def test_digests_are_those_of_the_standard() -> None:
    """The example of RFC 7616, section 3.9.1, with its nonces."""
    challenge = digest.choose(
        [
            'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URr'
            'v/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        ]
    )
    assert challenge.algorithm == "MD5" and challenge.qop
    account = Account("Mufasa", "Circle of Life")
    counted = ("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    got = digest._response(challenge, account, "GET", "/dir/index.html", counted)
    assert got == "8ca523f5e9506fed4657c9700eebdbec"
    assert digest.choose(
        ['Digest realm="r", nonce="n"', 'Digest realm="r", nonce="n", algorithm=SHA-256']
    ).algorithm == ("SHA-256")
    with pytest.raises(ValueError, match="no challenge"):
        digest.choose(['Basic realm="r"', 'Digest realm="r", nonce="n", qop="auth-int"'])
    old = Gatekeeper(ACCOUNT)
    header = digest.answer(digest.choose(old.challenges(SECOND)), ACCOUNT, "INVITE", TO_US)
    assert old.check(header, "INVITE", 2 * SECOND) is True
    assert old.check(header, "BYE", 2 * SECOND) is False
    assert old.check(header, "INVITE", 200 * SECOND) is None
    assert Gatekeeper(ACCOUNT).check(header, "INVITE", 2 * SECOND) is None


def test_registration_is_kept_up() -> None:
    link = Link(near=UserAgent(lambda _: (OURS.host, 5060), account=ACCOUNT))
    registration = Registration(link.near, "trunk.example.org", "alice", lambda: THEIRS)
    registrations = []
    for _ in range(4):
        registration.handle_timer(link.now)
        while link.near.output:
            _, data = link.near.output.popleft()
            request = parse(data)
            assert isinstance(request, Request)
            registrations.append(request)
            if request.headers.get("Authorization") is None:
                answer = respond(request, 401, [("WWW-Authenticate", 'Digest realm="r", nonce="n"')], tag="t")
            else:
                answer = respond(request, 200, [("Contact", "<sip:parley@192.0.2.1:5060>;expires=100")], tag="t")
            link.near.receive(answer, THEIRS, link.now)
        link.now += 81 * SECOND
    assert registration.is_registered
    assert len(registrations) >= 5
    sequences = [request.cseq.sequence for request in registrations]
    assert sequences == sorted(set(sequences))


def _invite(extra: str = "") -> bytes:
    head = (
        f"INVITE {TO_US} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa;rport\r\nMax-Forwards: 70\r\n"
        f'From: "A, B" <sip:1@192.0.2.2>;tag=a\r\nTo: <{TO_US}>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{extra}'
        f"Contact: <sip:1@192.0.2.2>\r\nContent-Type: application/sdp\r\nContent-Length: {len(OFFER)}\r\n\r\n{OFFER}"
    )
    return head.encode()


def test_what_a_peer_may_not_do() -> None:
    link = Link()
    for extra, code in (("Require: 100rel\r\n", "420"), ("", "100")):
        link.near.receive(_invite(extra).replace(b"z9hG4bKa", f"z9hG4bK{code}".encode()), THEIRS, link.now)
        link.settle()
        assert link.sent[-1][1].startswith(f"SIP/2.0 {code}".encode())
    strangers = UserAgent(lambda _: (OURS.host, 5060), gate=lambda flow, *_: flow.host == "192.0.2.9")
    strangers.receive(_invite(), THEIRS, link.now)
    assert strangers.output[0][1].startswith(b"SIP/2.0 403") and not strangers.events
    bye = _invite().replace(b"INVITE", b"BYE").replace(f"To: <{TO_US}>".encode(), f"To: <{TO_US}>;tag=x".encode())
    link.near.receive(bye.replace(b"z9hG4bKa", b"z9hG4bKbye"), THEIRS, link.now)
    link.settle()
    assert link.sent[-1][1].startswith(b"SIP/2.0 481")


def test_responses_echo_headers_and_show_where_the_request_came_from() -> None:
    link = Link()
    odd = b"SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK+a*b;rport, SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKc"
    request = _invite().replace(b"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa;rport", odd)
    link.near.receive(request, Flow("udp", "198.51.100.7", 40_000), link.now)
    link.settle()
    text = link.sent[0][1].decode()
    assert "Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK+a*b;received=198.51.100.7;rport=40000\r\n" in text
    assert "Via: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKc\r\n" in text
    assert 'From: "A, B" <sip:1@192.0.2.2>;tag=a\r\n' in text


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_streams_are_split_into_messages_wherever_they_are_cut(cuts: list[bytes]) -> None:
    messages = [_invite(), _invite().replace(b"CSeq: 1", b"CSeq: 2")]
    stream = b"\r\n\r\n" + messages[0] + b"\r\n" + messages[1]
    framing = StreamFraming()
    found, position = [], 0
    for length in [*(len(cut) for cut in cuts), len(stream)]:
        found += framing.push(stream[position : position + length])
        position += length
    assert found == messages


def test_streams_and_messages_are_bounded() -> None:
    with pytest.raises(ValueError, match="too long"):
        StreamFraming().push(b"A" * (MAX_BYTES + 1))
    with pytest.raises(ValueError, match="Content-Length"):
        StreamFraming().push(b"OPTIONS sip:a SIP/2.0\r\n\r\n")
    for wrong in (b"", b"\r\n\r\n", _invite().replace(b"CSeq: 1", b"CSeq: x"), _invite() + bytes(MAX_BYTES)):
        with pytest.raises(ValueError, match="SIP message"):
            parse(wrong)
    assert split_values('"a, b" <sip:a,b@c>;x=1, <sip:d>') == ['"a, b" <sip:a,b@c>;x=1', "<sip:d>"]
