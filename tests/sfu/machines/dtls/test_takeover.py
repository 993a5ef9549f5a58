"""Takeover of a client's handshake from OpenSSL: with OpenSSL's server, a lossy network, forgeries and FFmpeg.

No current OpenSSL can act as the server that needs it, so most tests declare every certificate to be of that kind.
"""

import random
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from sfu.machines.dtls import association as dtls_module
from sfu.machines.dtls.association import HANDSHAKE_NS, Dtls, DtlsState
from sfu.machines.dtls.certificate import DtlsCertificate, fingerprint_of, generate_certificate, self_signed
from sfu.machines.dtls.messages import CERTIFICATE, FINISHED, SERVER_KEY_EXCHANGE, Assembler, Message, read_certificate
from sfu.machines.dtls.records import records
from sfu.machines.dtls.takeover import TakenOver, is_needed
from sfu.machines.negotiation.agreement import DtlsRole

OURS = generate_certificate()
THEIRS = generate_certificate()
MS = 1_000_000


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls_module, "is_needed", lambda _: True)


NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, which pyOpenSSL does not name


class OpensslServer:
    def __init__(
        self,
        ciphers: bytes = b"",
        profiles: bytes = b"SRTP_AES128_CM_SHA1_80",
        ask: bool = True,
        options: int = 0,
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        if ask:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *args: True)
        context.set_options(SSL.OP_NO_QUERY_MTU | options)
        context.use_certificate(THEIRS.certificate)
        context.use_privatekey(THEIRS.key)
        if ciphers:
            context.set_cipher_list(ciphers)
        if profiles:
            context.set_tlsext_use_srtp(profiles)
        self.connection = SSL.Connection(context, None)
        self.connection.set_ciphertext_mtu(300)  # so that its flight comes in many datagrams
        self.connection.set_accept_state()
        self.closed = False

    def receive(self, datagram: bytes) -> list[bytes]:
        self.connection.bio_write(datagram)
        try:
            self.connection.do_handshake()
            self.connection.recv(4096)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        sent = b""
        try:
            while True:
                sent += self.connection.bio_read(65536)
        except SSL.WantReadError:
            pass
        return [sent[one.start : one.end] for one in records(sent)] if sent else []


def client(certificate: DtlsCertificate = THEIRS) -> Dtls:
    made = Dtls(OURS)
    made.start(DtlsRole.CLIENT, certificate.fingerprints, 0)
    return made


def shuttle(dtls: Dtls, server: OpensslServer) -> None:
    for _ in range(6):
        for datagram in dtls.datagrams_to_send():
            for answer in server.receive(datagram):
                dtls.receive(answer, 0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("ciphers", [b"ECDHE-ECDSA-AES128-GCM-SHA256", b"ECDHE-ECDSA-AES256-GCM-SHA384"])
@pytest.mark.parametrize("profile", [b"SRTP_AES128_CM_SHA1_80", b"SRTP_AEAD_AES_128_GCM"])
@pytest.mark.parametrize("ask", [True, False])
def test_an_openssl_server_agrees_on_keys(ciphers: bytes, profile: bytes, ask: bool) -> None:
    dtls, server = client(), OpensslServer(ciphers, profile, ask)
    shuttle(dtls, server)
    assert dtls.state is DtlsState.CONNECTED
    assert dtls.keys is not None
    assert server.connection.get_selected_srtp_profile() == profile
    key, salt = (16, 14) if b"_CM_" in profile else (16, 12)
    material = server.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
    assert dtls.keys.send == material[:key] + material[2 * key : 2 * key + salt]
    assert dtls.keys.receive == material[key : 2 * key] + material[2 * key + salt :]
    assert (server.connection.get_peer_certificate() is not None) is ask


@pytest.mark.usefixtures("always")
def test_a_server_without_extended_master_secret() -> None:
    dtls, server = client(), OpensslServer(options=NO_EXTENDED_MASTER_SECRET)
    shuttle(dtls, server)
    assert dtls.keys is not None
    assert dtls.keys.send[:16] == server.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)[:16]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("who", ["client", "server"])
def test_closing(who: str) -> None:
    dtls, server = client(), OpensslServer()
    shuttle(dtls, server)
    if who == "client":
        dtls.close(1)
        shuttle(dtls, server)
        assert server.closed
        assert dtls.close_reason == "closed_locally"
    else:
        server.connection.shutdown()
        dtls.receive(server.connection.bio_read(4096), 1)
        assert (dtls.state, dtls.close_reason, dtls.keys) == (DtlsState.CLOSED, "closed_by_remote", None)
        assert len(dtls.datagrams_to_send()) == 1


@pytest.mark.usefixtures("always")
def test_a_wrong_fingerprint_ends_it_with_an_alert() -> None:
    dtls, server = client(generate_certificate()), OpensslServer()
    with pytest.raises(SSL.Error, match="bad certificate"):
        shuttle(dtls, server)
    assert (dtls.state, dtls.close_reason, dtls.keys) == (DtlsState.CLOSED, "fingerprint_mismatch", None)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("profiles", [b"", b"SRTP_AES128_CM_SHA1_32"])
def test_without_a_shared_profile_there_are_no_keys(profiles: bytes) -> None:
    dtls, server = client(), OpensslServer(profiles=profiles)
    shuttle(dtls, server)
    assert (dtls.close_reason, dtls.keys) == ("no_srtp_profile", None)


@pytest.mark.usefixtures("always")
def test_another_suite_is_refused() -> None:
    dtls, server = client(), OpensslServer(b"ECDHE-ECDSA-CHACHA20-POLY1305")
    with pytest.raises(SSL.Error, match="handshake failure"):
        shuttle(dtls, server)
    assert dtls.close_reason == "handshake_failure"


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("seed", range(20))
def test_the_servers_flight_lost_reordered_and_repeated(seed: int) -> None:
    """The server repeats its flight by our record numbers' leave only: it is fed what it lost until it answers."""
    chance = random.Random(seed)
    dtls, server = client(), OpensslServer()
    now, server_flight = 0, []
    while dtls.state is DtlsState.HANDSHAKING and now < HANDSHAKE_NS:
        for datagram in dtls.datagrams_to_send():
            if chance.random() < 0.3:
                continue
            for _ in range(1 + (chance.random() < 0.3)):
                server_flight = server.receive(datagram) or server_flight
        arriving = [one for one in server_flight if chance.random() < 0.7]
        chance.shuffle(arriving)
        for datagram in arriving:
            dtls.receive(datagram, now)
        now += 250 * MS
        dtls.handle_timer(now)
    assert dtls.state is DtlsState.CONNECTED, dtls.close_reason


@pytest.mark.usefixtures("always")
def test_a_changed_byte_of_the_servers_flight_never_yields_keys() -> None:
    template = OpensslServer()
    hello = client().datagrams_to_send()
    length = sum(map(len, template.receive(hello[0])))
    for position in range(0, length, 7):
        dtls, server = client(), OpensslServer()
        (sent,) = dtls.datagrams_to_send()
        flight = b"".join(server.receive(sent))
        if position >= len(flight):
            continue
        mangled = flight[:position] + bytes([flight[position] ^ 0x11]) + flight[position + 1 :]
        try:
            parts = [mangled[one.start : one.end] for one in records(mangled)]
        except ValueError:
            continue
        for part in parts:
            dtls.receive(part, 0)
        try:
            shuttle(dtls, server)
        except SSL.Error:
            assert dtls.keys is None
        if dtls.keys is not None:
            # only fields outside the message may differ, such as record numbers
            assert dtls.keys.send[:16] == server.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)[:16]


@pytest.mark.usefixtures("always")
def test_garbage_and_forgeries_do_not_kill_a_connected_association() -> None:
    dtls, server = client(), OpensslServer()
    shuttle(dtls, server)
    chance = random.Random(3)
    for epoch in (0, 1, 2):
        for content_type in (20, 21, 22, 23):
            for size in (2, 16, 24, 26, 100):
                body = chance.randbytes(size)
                head = bytes([content_type]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + bytes(6)
                dtls.receive(head + size.to_bytes(2, "big") + body, 1)
    assert dtls.state is DtlsState.CONNECTED


def certificate_message(certificate: DtlsCertificate) -> bytes:
    der = certificate.certificate.public_bytes(Encoding.DER)
    return (len(der) + 3).to_bytes(3, "big") + len(der).to_bytes(3, "big") + der


@pytest.mark.parametrize(
    ("curve", "needed"),
    [
        (ec.SECP224R1(), True),
        (ec.SECP256K1(), True),
        (ec.SECP256R1(), False),
        (ec.SECP384R1(), False),
        (ec.SECP521R1(), False),
    ],
)
def test_which_certificates_need_it(curve: ec.EllipticCurve, needed: bool) -> None:
    key = ec.generate_private_key(curve)
    assert is_needed(certificate_message(DtlsCertificate(key, self_signed(key)))) is needed


def test_rsa_does_not_need_it_and_junk_is_a_value_error() -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert not is_needed(certificate_message(DtlsCertificate(key, self_signed(key))))
    for junk in (b"", b"\0\0\0", b"\0\0\x05\0\0\x02\x30\x00", bytes(40)):
        with pytest.raises(ValueError):
            is_needed(junk)


def test_ffmpegs_first_flight_is_answered() -> None:
    """Recorded from the whip muxer: ServerHello to ServerHelloDone with a certificate on secp224r1."""
    lines = (Path(__file__).parents[3] / "fixtures" / "dtls" / "ffmpeg-whip-flight.hex").read_text().split()
    hello, *flight = [bytes.fromhex(line) for line in lines]
    assembler = Assembler()
    messages = [message for one in flight for message in assembler.add(one, records(one))]
    certificate = next(message for message in messages if message.kind == CERTIFICATE)
    assert is_needed(certificate.body)
    (first,) = Assembler().add(hello, records(hello))
    announced = fingerprint_of(x509.load_der_x509_certificate(read_certificate(certificate.body)), "sha-256")
    taken = TakenOver(OURS, (announced,), first, assembler, 1)
    taken.take_messages(messages)
    assert taken.srtp_profile == 1
    assert taken.flight()
    assert taken.flight() != taken.flight()  # fresh record numbers
    with pytest.raises(ValueError, match="Finished does not verify"):
        taken.take_messages([Message(FINISHED, assembler.next_seq, bytes(12))])
    assert not taken.finished
    forged = [
        message._replace(body=message.body[:-1] + bytes([message.body[-1] ^ 1]))
        if message.kind == SERVER_KEY_EXCHANGE
        else message
        for message in messages
    ]
    with pytest.raises(ValueError, match="not signed"):
        TakenOver(OURS, (announced,), first, assembler, 1).take_messages(forged)
    with pytest.raises(ValueError, match="announced"):
        TakenOver(OURS, OURS.fingerprints, first, assembler, 1).take_messages(messages)
    with pytest.raises(ValueError, match="unexpected"):
        TakenOver(OURS, (announced,), first, assembler, 1).take_messages([*messages, Message(2, 9, b"")])
