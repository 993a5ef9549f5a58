"""Join tokens: each fault is a refusal with its own code."""

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sfu.api.join_token import AUDIENCE
from sfu.api.refusal import Refused
from sfu.rooms.admission import Admission

KEY = Ed25519PrivateKey.generate()
NOW = 1_800_000_000


def jwk(key: Ed25519PrivateKey = KEY, kid: str = "k1") -> dict[str, Any]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}


def admission() -> Admission:
    entry = Admission()
    entry.set_keys([jwk(), {"kty": "RSA", "kid": "k2"}, {"kty": "OKP", "crv": "Ed25519", "kid": "k3", "x": "!"}])
    return entry


def claims(**changes: Any) -> dict[str, Any]:
    base = {"aud": AUDIENCE, "jti": "j", "iat": NOW, "exp": NOW + 60, "room": "r", "participant": "p", "name": "P"}
    return {key: value for key, value in (base | changes).items() if value is not None}


def token(**changes: Any) -> str:
    return jwt.encode(claims(**changes), KEY, "EdDSA", headers={"kid": "k1"})


def test_a_good_token_admits_once() -> None:
    entry = admission()
    text = token(grants={"publish": ["microphone"], "host": True})
    admitted = entry.admit(text, NOW)
    assert (admitted.room, admitted.participant, admitted.grants.host) == ("r", "p", True)
    with pytest.raises(Refused, match="replayed_token"):
        entry.admit(text, NOW)


def test_used_tokens_are_forgotten_once_they_have_expired() -> None:
    entry = admission()
    for second in range(3000):
        entry.admit(token(jti=str(second), iat=NOW + second, exp=NOW + second + 60), NOW + second)
    assert entry.kept <= 1000
    with pytest.raises(Refused, match="replayed_token"):
        entry.admit(token(jti="2950", exp=NOW + 3010), NOW + 3000)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW - 6}, "expired_token"),
        ({"exp": NOW + 10_000}, "bad_token"),
        ({"iat": NOW + 60}, "bad_token"),
        ({"aud": "else"}, "foreign_token"),
        ({"aud": None}, "bad_token"),
        ({"jti": None}, "bad_token"),
        ({"room": 7}, "bad_token"),
        ({"grants": {"publish": ["everything"]}}, "bad_token"),
    ],
)
def test_what_is_wrong_has_its_code(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        admission().admit(token(**changes), NOW)
    assert (refused.value.code, refused.value.fatal) == (code, True)


def test_no_other_algorithm_is_taken() -> None:
    public = jwk()["x"] * 2
    for algorithm, key in (("HS256", public), ("none", None)):
        text = jwt.encode(claims(), key, algorithm, headers={"kid": "k1"})
        with pytest.raises(Refused, match="bad_token"):
            admission().admit(text, NOW)


def test_keys_that_go_no_longer_admit() -> None:
    entry = admission()
    entry.set_keys([jwk(Ed25519PrivateKey.generate(), "k9")])
    assert not entry.knows("k1")
    with pytest.raises(Refused, match="foreign_token"):
        entry.admit(token(), NOW)


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        admission().admit(text, NOW)
