"""DTLS associations: both roles, foreign implementations, fingerprints, profiles, closing, hostile datagrams."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from sfu.formats.sdp import Fingerprint
from sfu.machines.dtls.association import HANDSHAKE_NS, MAX_HANDSHAKE_BYTES, MAX_HELD, MTU, Dtls, DtlsState
from sfu.machines.dtls.certificate import DtlsCertificate, fingerprint_of, generate_certificate, self_signed
from sfu.machines.negotiation.agreement import DtlsRole

OURS = generate_certificate()
THEIRS = generate_certificate()


def started(role: DtlsRole, own: DtlsCertificate, fingerprints: tuple[Fingerprint, ...]) -> Dtls:
    dtls = Dtls(own)
    dtls.start(role, fingerprints, 0)
    return dtls


def shuttle(one: Dtls, other: Dtls) -> None:
    for _ in range(20):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in sender.datagrams_to_send():
                assert len(datagram) <= MTU
                receiver.receive(datagram, 0)


def connected() -> tuple[Dtls, Dtls]:
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    server = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    shuttle(client, server)
    assert (client.state, server.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)
    return client, server


class Foreign:
    """A different implementation: pyOpenSSL, used as in aiortc, with adjustable offers."""

    def __init__(self, certificate: DtlsCertificate, is_server: bool, profiles: bytes, ciphers: bytes = b"") -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *args: True)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        if ciphers:
            context.set_cipher_list(ciphers)
        if profiles:
            context.set_tlsext_use_srtp(profiles)
        self.connection = SSL.Connection(context, None)
        if is_server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def step(self, datagrams: list[bytes]) -> list[bytes]:
        for datagram in datagrams:
            self.connection.bio_write(datagram)
            self.advance()
        if not datagrams:
            self.advance()
        try:
            return [self.connection.bio_read(4096)]
        except SSL.WantReadError:
            return []

    def advance(self) -> None:
        try:
            self.connection.do_handshake()
            self.connection.recv(4096)
        except SSL.WantReadError:
            return

    def talk(self, dtls: Dtls) -> None:
        for _ in range(8):
            for datagram in self.step(dtls.datagrams_to_send()):
                dtls.receive(datagram, 0)


def test_keys_are_opposite_and_gcm_is_preferred() -> None:
    client, server = connected()
    assert client.keys is not None
    assert server.keys is not None
    assert (client.keys.send, client.keys.receive) == (server.keys.receive, server.keys.send)
    assert client.keys.profile == server.keys.profile == 7
    assert len(client.keys.send) == 16 + 12
    assert client.keys.send != client.keys.receive
    assert client.timer() is None
    assert server.timer() is None


@pytest.mark.parametrize("is_server", [True, False])
@pytest.mark.parametrize(
    ("profiles", "number", "length"),
    [
        (b"SRTP_AES128_CM_SHA1_80", 1, 30),
        (b"SRTP_AEAD_AES_256_GCM", 8, 44),
        (b"SRTP_AEAD_AES_128_GCM", 7, 28),
    ],
)
def test_profiles_of_a_foreign_peer(is_server: bool, profiles: bytes, number: int, length: int) -> None:
    foreign = Foreign(THEIRS, is_server, profiles)
    dtls = started(DtlsRole.CLIENT if is_server else DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    foreign.talk(dtls)
    assert dtls.state is DtlsState.CONNECTED
    keys = dtls.keys
    assert keys is not None
    assert keys.profile == number
    assert len(keys.send) == len(keys.receive) == length
    key, salt = {1: (16, 14), 7: (16, 12), 8: (32, 12)}[number]
    material = foreign.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
    client = material[:key] + material[2 * key : 2 * key + salt]
    assert (keys.send if is_server else keys.receive) == client


def test_a_server_prefers_128_bit_gcm_in_whatever_order_it_is_offered() -> None:
    foreign = Foreign(THEIRS, False, b"SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM")
    dtls = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    foreign.talk(dtls)
    assert dtls.keys is not None
    assert dtls.keys.profile == 7


@pytest.mark.parametrize("is_server", [True, False])
@pytest.mark.parametrize("profiles", [b"", b"SRTP_AES128_CM_SHA1_32"])
def test_without_a_shared_profile_there_are_no_keys(is_server: bool, profiles: bytes) -> None:
    foreign = Foreign(THEIRS, is_server, profiles)
    dtls = started(DtlsRole.CLIENT if is_server else DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    try:
        foreign.talk(dtls)
    except SSL.Error:
        assert dtls.state is DtlsState.CLOSED
    assert (dtls.state, dtls.close_reason, dtls.keys) == (DtlsState.CLOSED, "no_srtp_profile", None)


def test_an_rsa_server_is_understood() -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = DtlsCertificate(key, self_signed(key))
    foreign = Foreign(certificate, True, b"SRTP_AES128_CM_SHA1_80")
    dtls = started(DtlsRole.CLIENT, OURS, certificate.fingerprints)
    foreign.talk(dtls)
    assert dtls.state is DtlsState.CONNECTED


def test_an_rsa_client_is_understood() -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = DtlsCertificate(key, self_signed(key))
    foreign = Foreign(certificate, False, b"SRTP_AES128_CM_SHA1_80")
    dtls = started(DtlsRole.SERVER, OURS, certificate.fingerprints)
    foreign.talk(dtls)
    assert dtls.state is DtlsState.CONNECTED


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_fingerprint_algorithms(algorithm: str) -> None:
    client = started(DtlsRole.CLIENT, THEIRS, (fingerprint_of(OURS.certificate, algorithm),))
    server = started(DtlsRole.SERVER, OURS, (fingerprint_of(THEIRS.certificate, algorithm),))
    shuttle(client, server)
    assert client.state is server.state is DtlsState.CONNECTED


@pytest.mark.parametrize("suspicious", [DtlsRole.CLIENT, DtlsRole.SERVER])
def test_a_wrong_fingerprint_ends_the_handshake_without_keys(suspicious: DtlsRole) -> None:
    wrong = generate_certificate().fingerprints
    client = started(DtlsRole.CLIENT, THEIRS, wrong if suspicious is DtlsRole.CLIENT else OURS.fingerprints)
    server = started(DtlsRole.SERVER, OURS, wrong if suspicious is DtlsRole.SERVER else THEIRS.fingerprints)
    for _ in range(20):
        for sender, receiver in ((client, server), (server, client)):
            for datagram in sender.datagrams_to_send():
                receiver.receive(datagram, 0)
            assert client.keys is None
            assert server.keys is None
    suspect, trusting = (client, server) if suspicious is DtlsRole.CLIENT else (server, client)
    assert (suspect.state, suspect.close_reason) == (DtlsState.CLOSED, "fingerprint_mismatch")
    assert (trusting.state, trusting.close_reason) == (DtlsState.CLOSED, "handshake_failure")


def test_a_weaker_fingerprint_does_not_rescue_a_wrong_stronger_one() -> None:
    wrong = fingerprint_of(generate_certificate().certificate, "sha-512")
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    server = started(DtlsRole.SERVER, OURS, (*THEIRS.fingerprints, wrong))
    shuttle(client, server)
    assert server.close_reason == "fingerprint_mismatch"


def test_a_start_needs_a_usable_fingerprint_and_happens_once() -> None:
    dtls = Dtls(OURS)
    with pytest.raises(ValueError, match="fingerprint"):
        dtls.start(DtlsRole.SERVER, (Fingerprint("sha-1", "AB"),), 0)
    dtls.start(DtlsRole.SERVER, THEIRS.fingerprints, 0)
    with pytest.raises(ValueError, match="before"):
        dtls.start(DtlsRole.SERVER, THEIRS.fingerprints, 0)


def test_a_hello_before_start_is_held() -> None:
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    server = Dtls(OURS)
    for datagram in client.datagrams_to_send():
        server.receive(datagram, 0)
    assert server.datagrams_to_send() == []
    server.start(DtlsRole.SERVER, THEIRS.fingerprints, 0)
    shuttle(client, server)
    assert server.state is DtlsState.CONNECTED


def test_what_is_held_is_bounded() -> None:
    dtls = Dtls(OURS)
    for _ in range(MAX_HELD + 5):
        dtls.receive(bytes(100), 0)
    dtls.receive(bytes(100_000), 0)
    assert dtls.dropped == 6


@pytest.mark.parametrize("first", [0, 1])
def test_closing_tells_the_other_side(first: int) -> None:
    pair = connected()
    closing, told = pair[first], pair[1 - first]
    closing.close(0)
    assert (closing.state, closing.close_reason, closing.keys) == (DtlsState.CLOSED, "closed_locally", None)
    (notify,) = closing.datagrams_to_send()
    told.receive(notify, 0)
    assert (told.state, told.close_reason, told.keys) == (DtlsState.CLOSED, "closed_by_remote", None)
    closing.close(0)
    told.close(0)
    assert told.close_reason == "closed_by_remote"


def test_closing_before_the_handshake_is_quiet() -> None:
    for dtls in (Dtls(OURS), started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)):
        dtls.close(0)
        assert dtls.close_reason == "closed_locally"
        assert dtls.datagrams_to_send() == []
        dtls.receive(bytes(20), 0)
        assert dtls.timer() is None


def garbage(seed: int) -> list[bytes]:
    """Short, truncated, mislabelled and random datagrams, many with the header of a protected record."""
    chance = random.Random(seed)
    made = [b"", b"\x17", b"\x17\xfe\xfd", bytes(13)]
    for content_type in (20, 21, 22, 23, 24, 63):
        for length in (0, 1, 2, 8, 15, 16, 17, 24, 25, 64):
            header = bytes([content_type, 0xFE, 0xFD]) + chance.choice((0, 1, 2)).to_bytes(2, "big")
            header += chance.randrange(2**20).to_bytes(6, "big")
            made.append(header + length.to_bytes(2, "big") + chance.randbytes(length))
            made.append(header + (length + 1).to_bytes(2, "big") + chance.randbytes(length))
    made += [bytes([chance.randrange(20, 64)]) + chance.randbytes(chance.randrange(1200)) for _ in range(200)]
    return made


def test_garbage_does_not_kill_an_association() -> None:
    client, server = connected()
    keys = server.keys
    for datagram in garbage(1):
        server.receive(datagram, 1)
        client.receive(datagram, 1)
    assert server.state is client.state is DtlsState.CONNECTED
    assert server.keys == keys
    assert server.dropped > 100
    client.close(2)
    for datagram in client.datagrams_to_send():
        server.receive(datagram, 2)
    assert server.close_reason == "closed_by_remote"


def test_garbage_before_the_hello_does_not_hinder_it() -> None:
    server = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    for datagram in garbage(2):
        server.receive(datagram, 0)
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    shuttle(client, server)
    assert server.state is DtlsState.CONNECTED


def fragment(seq: int, length: int, offset: int, body: bytes, record: int) -> bytes:
    head = b"\x01" + length.to_bytes(3, "big") + seq.to_bytes(2, "big") + offset.to_bytes(3, "big")
    message = head + len(body).to_bytes(3, "big") + body
    return b"\x16\xfe\xfd\x00\x00" + record.to_bytes(6, "big") + len(message).to_bytes(2, "big") + message


def test_outlandish_fragments_are_dropped() -> None:
    server = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    for number, (seq, length, offset) in enumerate([(0, 2**24 - 1, 0), (1000, 100, 0), (0, 100, 99), (0, 20_001, 5)]):
        server.receive(fragment(seq, length, offset, bytes(10), number), 0)
    assert server.dropped == 4


def test_a_flood_before_completion_is_bounded() -> None:
    server = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    for number in range(1000):
        server.receive(fragment(1 + number % 20, 20_000, 1000 + number, bytes(1000), number), 0)
    passed = (1000 - server.dropped) * 1025
    assert 0 < passed <= MAX_HANDSHAKE_BYTES
    assert server.state is DtlsState.HANDSHAKING


def test_a_fragmented_hello_is_put_together() -> None:
    """As Chromium's, whose post-quantum key share does not fit one datagram; also out of order."""
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    server = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    (hello,) = client.datagrams_to_send()
    body = hello[13 + 12 :]
    halves = [fragment(0, len(body), 0, body[:90], 0), fragment(0, len(body), 90, body[90:], 9)]
    for datagram in reversed(halves):
        assert server.datagrams_to_send() == []
        server.receive(datagram, 0)
    shuttle(client, server)
    assert server.state is DtlsState.CONNECTED


def test_a_handshake_that_gets_nowhere_times_out() -> None:
    server = started(DtlsRole.SERVER, OURS, THEIRS.fingerprints)
    assert server.timer() == HANDSHAKE_NS
    server.handle_timer(HANDSHAKE_NS - 1)
    assert server.state is DtlsState.HANDSHAKING
    server.handle_timer(HANDSHAKE_NS)
    assert (server.state, server.close_reason) == (DtlsState.CLOSED, "handshake_timeout")
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    now = sent = 0
    while (due := client.timer()) is not None:
        now = max(due, now)
        client.handle_timer(now)
        sent += len(client.datagrams_to_send())
    assert client.close_reason == "handshake_timeout"
    assert 5 <= sent <= 20


def test_a_hello_that_waits_for_an_address_does_not_pile_up() -> None:
    client = started(DtlsRole.CLIENT, THEIRS, OURS.fingerprints)
    for now in range(0, 5_000_000_000, 50_000_000):
        client.handle_timer(now)
    assert len(client.datagrams_to_send()) <= 2
