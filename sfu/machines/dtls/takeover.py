"""The second half of a DTLS 1.2 client handshake, for servers whose certificate OpenSSL does not accept.

OpenSSL 4 dropped the smaller curves of RFC 4492 from TLS, certificates included. GnuTLS, and with it FFmpeg's whip
muxer by default, makes its certificates on secp224r1. If the server's Certificate uses such a curve, this module takes
over from OpenSSL after its ClientHello: same messages, same transcript, with primitives from `cryptography`.

It implements RFC 5246 and 6347; the suites ECDHE-ECDSA with AES-GCM (RFC 5289); extended master secret (RFC 7627) and
use_srtp (RFC 5764), if the server answers them. The certificate is checked by its fingerprint alone; the signature over
the key exchange proves that the server holds its key. Application data is not supported: such a server gets no data
channels.
"""

import hmac
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sfu.formats.sdp import Fingerprint
from sfu.machines.dtls.certificate import DtlsCertificate, matches
from sfu.machines.dtls.messages import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_KEY_EXCHANGE,
    FINISHED,
    HELLO_VERIFY_REQUEST,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    Assembler,
    KeyExchange,
    Message,
    read_certificate,
    read_key_exchange,
    read_server_hello,
)
from sfu.machines.dtls.records import ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_BYTES, Record

_ORDER = (SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE)
_OPENSSL_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_CURVES: dict[int, type[ec.EllipticCurve]] = {23: ec.SECP256R1, 24: ec.SECP384R1}
_X25519 = 29
_HASHES: dict[int, type[hashes.SHA256] | type[hashes.SHA384] | type[hashes.SHA512]] = {
    4: hashes.SHA256,
    5: hashes.SHA384,
    6: hashes.SHA512,
}
_ECDSA = 3
_NONCE_BYTES = 8
_TAG_BYTES = 16
_MTU_BODY = 1100


class FingerprintMismatchError(ValueError):
    """The server's certificate is not the announced one."""


@dataclass(frozen=True, slots=True)
class _Suite:
    digest: str
    hash: hashes.HashAlgorithm
    key_bytes: int


_SUITES = {0xC02B: _Suite("sha256", hashes.SHA256(), 16), 0xC02C: _Suite("sha384", hashes.SHA384(), 32)}


def is_needed(certificate_message: bytes) -> bool:
    """Return True if the server's Certificate has an EC key of a curve that OpenSSL rejects; raises ValueError if
    unreadable.

    OpenSSL judges everything else about a certificate.
    """
    try:
        key = x509.load_der_x509_certificate(read_certificate(certificate_message)).public_key()
    except UnsupportedAlgorithm:
        return False
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _OPENSSL_CURVES


class TakenOver:
    """A client's handshake, from the server's first flight on."""

    def __init__(
        self,
        certificate: DtlsCertificate,
        fingerprints: tuple[Fingerprint, ...],
        hello: Message,
        assembler: Assembler,
        next_record: int,
    ) -> None:
        """`hello` is the ClientHello that the server answered, `next_record` the first unused record number."""
        self._certificate = certificate
        self._fingerprints = fingerprints
        self._client_random = hello.body[2:34]
        self._transcript = hello.encode()
        self._next_seq = hello.seq + 1
        self._assembler = assembler
        self._next_records = [next_record, 0]
        self._received: dict[int, Message] = {}
        self._flight: list[Message] = []
        self._finished_message: Message | None = None
        self._protection: _Protection | None = None
        self._master = b""
        self._server_random = b""
        self._suite = _SUITES[0xC02B]
        self.srtp_profile = 0
        self.finished = False
        self.closed_by_remote = False

    def take_messages(self, messages: list[Message]) -> None:
        """Take the server's plain messages, in order; raises ValueError if the handshake cannot continue."""
        for message in messages:
            if message.kind == HELLO_VERIFY_REQUEST:
                continue
            if message.kind == FINISHED:
                self._finish(message)
                continue
            if self._flight or message.kind not in _ORDER or message.kind in self._received:
                raise ValueError("unexpected handshake message")
            self._received[message.kind] = message
            self._transcript += message.encode()
            if message.kind == SERVER_HELLO_DONE:
                self._answer()

    def take(self, data: bytes, found: list[Record]) -> None:
        """Take a datagram, ignoring records that do not decrypt; raises ValueError if the handshake cannot continue."""
        for record in found:
            body = data[record.start + HEADER_BYTES : record.end]
            if record.epoch == 1 and self._protection is not None:
                plain = self._protection.open(data[record.start : record.start + HEADER_BYTES], body)
                if plain is None:
                    continue
                if record.content_type == HANDSHAKE and not self.finished:
                    self.take_messages(self._assembler.add_fragments(plain))
                elif record.content_type == ALERT and (plain[:1] == b"\x02" or plain == b"\x01\x00"):
                    self.closed_by_remote = True
            elif record.epoch == 0 and not self.finished:
                self._take_plain(record.content_type, body)

    def flight(self) -> list[bytes]:
        """Return the client's flight as datagrams with fresh record numbers, none before it is due."""
        if self._finished_message is None or self._protection is None:
            return []
        records = [
            self._record(HANDSHAKE, 0, piece) for message in self._flight for piece in _fragments(message, _MTU_BODY)
        ]
        records.append(self._record(CHANGE_CIPHER_SPEC, 0, b"\x01"))
        records.append(self._record(HANDSHAKE, 1, self._finished_message.encode()))
        datagrams = [b""]
        for record in records:
            if len(datagrams[-1]) + len(record) > _MTU_BODY + 100:
                datagrams.append(b"")
            datagrams[-1] += record
        return datagrams

    def alert(self, level: int, description: int) -> bytes:
        """Return an alert record, protected once there are keys (RFC 5246, section 7.2)."""
        return self._record(ALERT, 1 if self.finished else 0, bytes([level, description]))

    def export(self, label: bytes, length: int) -> bytes:
        """Return keying material (RFC 5705) without a context."""
        return self._prf(self._master, label, self._client_random + self._server_random, length)

    def _take_plain(self, content_type: int, body: bytes) -> None:
        if content_type == HANDSHAKE:
            self.take_messages(self._assembler.add_fragments(body))
        elif content_type == ALERT and body[:1] == b"\x02":
            raise ValueError("the server sent a fatal alert")

    def _answer(self) -> None:
        """Verify the server's complete flight, derive keys, and create our flight."""
        if not {SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE} <= self._received.keys():
            raise ValueError("the server's flight is incomplete")
        hello = read_server_hello(self._received[SERVER_HELLO].body)
        if hello.cipher_suite not in _SUITES:
            raise ValueError("the server chose another cipher suite")
        self._suite = _SUITES[hello.cipher_suite]
        self._server_random = hello.random
        self.srtp_profile = hello.srtp_profile
        exchange = read_key_exchange(self._received[SERVER_KEY_EXCHANGE].body)
        self._verify_server(exchange)
        point, secret = _agree(exchange)
        requested = CERTIFICATE_REQUEST in self._received
        if requested:
            der = self._certificate.certificate.public_bytes(serialization.Encoding.DER)
            self._send(CERTIFICATE, (len(der) + 3).to_bytes(3, "big") + len(der).to_bytes(3, "big") + der)
        self._send(CLIENT_KEY_EXCHANGE, bytes([len(point)]) + point)
        if hello.extended_master_secret:
            self._master = self._prf(secret, b"extended master secret", self._digest(), 48)
        else:
            self._master = self._prf(secret, b"master secret", self._client_random + self._server_random, 48)
        if requested:
            self._send(CERTIFICATE_VERIFY, self._sign())
        size = self._suite.key_bytes
        block = self._prf(self._master, b"key expansion", self._server_random + self._client_random, 2 * size + 8)
        self._protection = _Protection(block, size)
        verify = self._prf(self._master, b"client finished", self._digest(), 12)
        self._finished_message = Message(FINISHED, self._next_seq, verify)
        self._transcript += self._finished_message.encode()

    def _verify_server(self, exchange: KeyExchange) -> None:
        certificate = x509.load_der_x509_certificate(read_certificate(self._received[CERTIFICATE].body))
        if not matches(certificate, self._fingerprints):
            raise FingerprintMismatchError("the server's certificate is not the announced one")
        key = certificate.public_key()
        algorithm = _HASHES.get(exchange.hash_algorithm)
        if not isinstance(key, ec.EllipticCurvePublicKey) or exchange.signature_algorithm != _ECDSA or not algorithm:
            raise ValueError("unsupported signature")
        signed = self._client_random + self._server_random + exchange.parameters
        try:
            key.verify(exchange.signature, signed, ec.ECDSA(algorithm()))
        except InvalidSignature as error:
            raise ValueError("the key exchange is not signed with the certificate's key") from error

    def _finish(self, message: Message) -> None:
        expected = self._prf(self._master, b"server finished", self._digest(), 12)
        if self._finished_message is None or not hmac.compare_digest(message.body, expected):
            raise ValueError("the server's Finished does not verify")
        self.finished = True

    def _send(self, kind: int, body: bytes) -> None:
        message = Message(kind, self._next_seq, body)
        self._next_seq += 1
        self._flight.append(message)
        self._transcript += message.encode()

    def _sign(self) -> bytes:
        key = self._certificate.key
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("our own certificate is not ECDSA")
        signature = key.sign(self._transcript, ec.ECDSA(hashes.SHA256()))
        return bytes([4, _ECDSA]) + len(signature).to_bytes(2, "big") + signature

    def _record(self, content_type: int, epoch: int, body: bytes) -> bytes:
        number = self._next_records[epoch]
        self._next_records[epoch] += 1
        sequence = epoch.to_bytes(2, "big") + number.to_bytes(6, "big")
        if epoch == 1 and self._protection is not None:
            body = self._protection.seal(content_type, sequence, body)
        return bytes([content_type]) + b"\xfe\xfd" + sequence + len(body).to_bytes(2, "big") + body

    def _digest(self) -> bytes:
        digest = hashes.Hash(self._suite.hash)
        digest.update(self._transcript)
        return digest.finalize()

    def _prf(self, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
        """TLS 1.2's P_hash (RFC 5246, section 5)."""
        made = b""
        chained = label + seed
        while len(made) < length:
            chained = hmac.digest(secret, chained, self._suite.digest)
            made += hmac.digest(secret, chained + label + seed, self._suite.digest)
        return made[:length]


class _Protection:
    """AES-GCM records with an explicit nonce (RFC 5288, section 3), for both directions of a client."""

    def __init__(self, block: bytes, key_bytes: int) -> None:
        self._send = AESGCM(block[:key_bytes])
        self._receive = AESGCM(block[key_bytes : 2 * key_bytes])
        self._send_salt = block[2 * key_bytes : 2 * key_bytes + 4]
        self._receive_salt = block[2 * key_bytes + 4 : 2 * key_bytes + 8]

    def seal(self, content_type: int, sequence: bytes, plain: bytes) -> bytes:
        additional = sequence + bytes([content_type]) + b"\xfe\xfd" + len(plain).to_bytes(2, "big")
        return sequence + self._send.encrypt(self._send_salt + sequence, plain, additional)

    def open(self, header: bytes, body: bytes) -> bytes | None:
        """Return the plain record, None if it is not authentic."""
        length = len(body) - _NONCE_BYTES - _TAG_BYTES
        if length < 0:
            return None
        additional = header[3:11] + header[:3] + length.to_bytes(2, "big")
        try:
            return self._receive.decrypt(self._receive_salt + body[:_NONCE_BYTES], body[_NONCE_BYTES:], additional)
        except InvalidTag:
            return None


def _agree(exchange: KeyExchange) -> tuple[bytes, bytes]:
    """Return our ephemeral public point and the shared secret; raises ValueError for a bad point or another curve."""
    if exchange.curve == _X25519:
        own = x25519.X25519PrivateKey.generate()
        secret = own.exchange(x25519.X25519PublicKey.from_public_bytes(exchange.point))
        return own.public_key().public_bytes_raw(), secret
    curve = _CURVES.get(exchange.curve)
    if curve is None:
        raise ValueError("the server chose another curve")
    own_key = ec.generate_private_key(curve())
    secret = own_key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve(), exchange.point))
    point = own_key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return point, secret


def _fragments(message: Message, size: int) -> list[bytes]:
    whole = message.encode()
    header, body = whole[:6], message.body
    return [
        header + at.to_bytes(3, "big") + len(body[at : at + size]).to_bytes(3, "big") + body[at : at + size]
        for at in range(0, max(len(body), 1), size)
    ]
