"""Admission: verification of join tokens (RFC 7519, EdDSA of RFC 8037) against control's public keys.

The algorithm is pinned, so that no key can be used with another algorithm (the class of CVE-2021-39215). A token admits
once: its `jti` is kept until it expires. Lifetimes are bounded, and therefore so is the set of kept ids.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jwt
import msgspec
from jwt.types import Options

from sfu.api.join_token import AUDIENCE, CLOCK_SKEW_SECONDS, LIFETIME_SECONDS, JoinClaims
from sfu.api.refusal import Code, Refused

MAX_SEEN = 100_000
_FEW_SEEN = 1000
"""The number of kept ids from which on expired ones are removed."""
MAX_TOKEN_BYTES = 16_384
# Times are checked below against the caller's clock, not by the library against the system's.
_UNCLOCKED: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}


def key_id(token: str) -> str:
    """Return the `kid` of a token that has not been verified yet; raises Refused if it has none."""
    if len(token) > MAX_TOKEN_BYTES:
        raise Refused(Code.BAD_TOKEN, "The join token is too long.", fatal=True)
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise Refused(Code.BAD_TOKEN, "The join token is not a JWT.", fatal=True) from error
    kid = header.get("kid")
    if header.get("alg") != "EdDSA" or not isinstance(kid, str):
        raise Refused(Code.BAD_TOKEN, "The join token is not signed with EdDSA by a named key.", fatal=True)
    return kid


class Admission:
    """Verifies tokens; holds the public keys and the ids of used tokens."""

    def __init__(self) -> None:
        self._keys: dict[str, jwt.PyJWK] = {}
        self._seen: dict[str, int] = {}
        self._forget_at = _FEW_SEEN

    @property
    def kept(self) -> int:
        """The number of ids of used tokens that are kept: the valid ones, and at most as many expired ones."""
        return len(self._seen)

    def set_keys(self, keys: Iterable[Mapping[str, Any]]) -> None:
        """Replace the keys by a JWK set (RFC 7517); keys other than Ed25519 keys with a `kid` are ignored."""
        found: dict[str, jwt.PyJWK] = {}
        for key in keys:
            if key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and isinstance(key.get("kid"), str):
                try:
                    found[key["kid"]] = jwt.PyJWK({k: v for k, v in key.items() if k != "d"}, algorithm="EdDSA")
                except (jwt.PyJWTError, ValueError):
                    continue
        self._keys = found

    def knows(self, kid: str) -> bool:
        return kid in self._keys

    def admit(self, token: str, unix_seconds: float) -> JoinClaims:
        """Return the claims of a token and use it up; raises Refused (always fatal) for an invalid one."""
        claims = self._verify(token)
        if claims.exp + CLOCK_SKEW_SECONDS <= unix_seconds:
            raise Refused(Code.EXPIRED_TOKEN, "The join token has expired; ask for a new one.", fatal=True)
        too_far = unix_seconds + 2 * LIFETIME_SECONDS + CLOCK_SKEW_SECONDS
        if claims.exp > too_far or claims.iat > unix_seconds + CLOCK_SKEW_SECONDS:
            raise Refused(Code.BAD_TOKEN, "The times of the join token are out of bounds.", fatal=True)
        self._use(claims, unix_seconds)
        return claims

    def give_back(self, claims: JoinClaims) -> None:
        """Release a token if nobody was admitted after all; it may be used again until it expires."""
        self._seen.pop(claims.jti, None)

    def _verify(self, token: str) -> JoinClaims:
        key = self._keys.get(key_id(token))
        if key is None:
            raise Refused(Code.FOREIGN_TOKEN, "The join token was signed by a key this node does not know.", fatal=True)
        try:
            payload = jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, options=_UNCLOCKED)
            return msgspec.convert(payload, JoinClaims)
        except jwt.InvalidAudienceError as error:
            raise Refused(Code.FOREIGN_TOKEN, "The join token is for another audience.", fatal=True) from error
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise Refused(Code.BAD_TOKEN, "The signature of the join token is invalid.", fatal=True) from error

    def _use(self, claims: JoinClaims, unix_seconds: float) -> None:
        if claims.jti in self._seen:
            raise Refused(Code.REPLAYED_TOKEN, "The join token has been used before.", fatal=True)
        if len(self._seen) >= self._forget_at:
            self._seen = {jti: exp for jti, exp in self._seen.items() if exp + CLOCK_SKEW_SECONDS > unix_seconds}
            self._forget_at = min(max(2 * len(self._seen), _FEW_SEEN), MAX_SEEN)
            if len(self._seen) >= MAX_SEEN:
                raise Refused(Code.TOO_MANY_REQUESTS, "Too many joins; try again in a minute.", fatal=True)
        self._seen[claims.jti] = claims.exp
