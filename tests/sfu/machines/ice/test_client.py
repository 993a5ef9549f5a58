"""The controlling client against the lite agent, in simulated time."""

import random

from sfu.formats import stun
from sfu.machines.ice.client import CONNECT_NS, IceClient
from sfu.machines.ice.lite import CONSENT_NS, Credentials, IceLite

SECOND = 1_000_000_000
SERVER = Credentials("srvufrag", "serverpassword0123456789")
CLIENT = Credentials("cliufrag", "clientpassword0123456789")
ADDRESS = ("192.0.2.1", 8810)
HERE = ("192.0.2.2", 40000)


def run(client: IceClient, server: IceLite, until: int, loss: float = 0.0, seed: int = 0, start: int = 0) -> int:
    """Shuttle datagrams until `until`; return how many checks were sent."""
    network = random.Random(seed)
    now, sent = start, 0
    while now < until:
        for check in client.datagrams_to_send(now):
            sent += 1
            if check.destination != ADDRESS or network.random() < loss:
                continue
            response = server.receive(check.data, HERE, 0, now).response
            if response and network.random() >= loss:
                assert client.receive(response, ADDRESS, now) is None
        due = client.timer()
        if due is None:
            break
        now = max(due, now + 1)
    return sent


def pair(candidates: list[tuple[str, int]] | None = None) -> tuple[IceClient, IceLite]:
    server = IceLite(SERVER, 0)
    server.set_remote(CLIENT.ufrag, CLIENT.pwd)
    return IceClient(CLIENT, SERVER, candidates or [ADDRESS], 1234, 0), server


def test_connects_nominates_and_keeps_consent() -> None:
    client, server = pair([("198.51.100.9", 1), ADDRESS])
    assert client.selected is None
    sent = run(client, server, 120 * SECOND)
    assert client.selected == ADDRESS
    assert client.nominated
    assert server.nominated
    assert not client.failed
    assert not server.handle_timer(120 * SECOND)
    assert 20 <= sent <= 40


def test_connects_through_loss() -> None:
    for seed in range(20):
        client, server = pair()
        run(client, server, 60 * SECOND, loss=0.3, seed=seed)
        assert client.nominated, seed
        assert not client.failed, seed


def test_gives_up_when_nothing_answers() -> None:
    client, server = pair()
    sent = run(client, server, 60 * SECOND, loss=1.0)
    assert client.failed
    assert client.timer() is None
    assert sent <= 20
    assert CONNECT_NS < 60 * SECOND


def test_fails_when_consent_is_lost() -> None:
    client, server = pair()
    run(client, server, 10 * SECOND)
    run(client, server, 10 * SECOND + CONSENT_NS, loss=1.0, start=10 * SECOND)
    client.handle_timer(10 * SECOND + CONSENT_NS)
    assert client.failed
    assert client.datagrams_to_send(50 * SECOND) == []


def test_only_authentic_responses_to_own_checks_count() -> None:
    client, server = pair()
    (check,) = client.datagrams_to_send(0)
    response = server.receive(check.data, HERE, 0, 0).response or b""
    transaction = stun.parse(check.data).transaction_id
    forged = stun.serialize(
        stun.Message(stun.MessageClass.SUCCESS, transaction, xor_mapped_address=HERE), b"another password"
    )
    stray = stun.serialize(stun.Message(stun.MessageClass.SUCCESS, bytes(12)), SERVER.pwd.encode())
    error = stun.serialize(stun.Message(stun.MessageClass.ERROR, transaction, error=(487, "Role Conflict")))
    assert client.receive(b"junk", ADDRESS, 0) == "malformed"
    assert client.receive(forged, ADDRESS, 0) == "wrong_integrity"
    assert client.receive(stray, ADDRESS, 0) == "unknown_transaction"
    assert client.receive(error, ADDRESS, 0) == "error_response"
    assert client.receive(response, ("198.51.100.1", 1), 0) == "unknown_transaction"
    assert client.selected is None
    assert client.receive(response, ADDRESS, 0) is None
    assert client.selected == ADDRESS


def test_answers_checks_of_a_full_agent() -> None:
    client, _ = pair()
    message = stun.Message(stun.MessageClass.REQUEST, bytes(12), username=f"{CLIENT.ufrag}:{SERVER.ufrag}", priority=1)
    assert client.receive(stun.serialize(message, CLIENT.pwd.encode()), ADDRESS, 0) is None
    responses = [one for one in client.datagrams_to_send(0) if stun.parse(one.data).message_class == 2]
    assert len(responses) == 1
    assert client.receive(stun.serialize(message, b"wrong"), ADDRESS, 0) == "wrong_integrity"


def test_without_candidates_it_has_failed() -> None:
    client = IceClient(CLIENT, SERVER, [], 1, 0)
    assert client.failed
