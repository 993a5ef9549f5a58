"""OpenSSL's side of our DTLS associations: versions, ciphers, options, and its error messages."""

from functools import lru_cache

from OpenSSL import SSL

from sfu.machines.dtls.certificate import DtlsCertificate
from sfu.machines.dtls.srtp import PROFILES

_DTLS_1_2 = 0xFEFD
_CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA")
    for signature in ("ECDSA", "RSA")
)


@lru_cache(maxsize=8)
def context_of(certificate: DtlsCertificate) -> SSL.Context:
    """Return the OpenSSL context shared by all associations with this certificate."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate(certificate.certificate)
    context.use_privatekey(certificate.key)
    context.set_cipher_list(_CIPHERS.encode())
    context.set_tlsext_use_srtp(b":".join(PROFILES))
    return context
