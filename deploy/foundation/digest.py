"""Digest authentication (RFC 7616, RFC 8760): answers to challenges, and challenges of our own.

Parameters are parsed here, since `sipmessage` splits quoted values at their commas.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

_PREFERRED = ("SHA-256", "MD5")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.){0,1024})"|([^\s,"]{1,1024}))')
NONCE_SECONDS = 60


class Account(NamedTuple):
    """A user name with its password."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Return the user without the password, for logs."""
        return f"Account({self.user!r})"


def parameters_of(header: str) -> dict[str, str]:
    """Return the parameters of a Digest header by lower-case names; raises ValueError for anything else."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "digest" or len(header) > 4096:
        raise ValueError("not a digest")
    found: dict[str, str] = {}
    position = 0
    while match := _PARAMETER.match(rest, position):
        name, quoted, plain = match.groups()
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
        position = match.end()
    if rest[position:].strip(" ,"):
        raise ValueError("the digest is malformed")
    return found


class Challenge(NamedTuple):
    """A challenge that can be answered; `counter` counts the answers with its nonce."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    qop: bool
    is_stale: bool


def choose(headers: Sequence[str]) -> Challenge:
    """Return the best of several challenges; raises ValueError if none can be answered."""
    found: dict[str, Challenge] = {}
    for header in headers:
        try:
            given = parameters_of(header)
        except ValueError:
            continue
        algorithm = given.get("algorithm", "MD5").upper()
        offered = {one.strip().lower() for one in given.get("qop", "").split(",") if one.strip()}
        if "nonce" not in given or (offered and "auth" not in offered):
            continue
        found.setdefault(
            algorithm,
            Challenge(
                given.get("realm", ""),
                given["nonce"],
                given.get("opaque"),
                algorithm,
                bool(offered),
                given.get("stale", "").lower() == "true",
            ),
        )
    for algorithm in _PREFERRED:
        if algorithm in found:
            return found[algorithm]
    raise ValueError("there is no challenge that can be answered")


def answer(challenge: Challenge, account: Account, method: str, uri: str, count: int = 1) -> str:
    """Return the header that answers a challenge, the `count`th one with its nonce."""
    cnonce, nc = secrets.token_hex(8), f"{count:08x}"
    response = _response(challenge, account, method, uri, (nc, cnonce) if challenge.qop else None)
    fields = [
        f'username="{_quoted(account.user)}"',
        f'realm="{_quoted(challenge.realm)}"',
        f'nonce="{_quoted(challenge.nonce)}"',
        f'uri="{_quoted(uri)}"',
        f'response="{response}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.opaque is not None:
        fields.append(f'opaque="{_quoted(challenge.opaque)}"')
    if challenge.qop:
        fields += ["qop=auth", f"nc={nc}", f'cnonce="{cnonce}"']
    return "Digest " + ", ".join(fields)


def _response(challenge: Challenge, account: Account, method: str, uri: str, counted: tuple[str, str] | None) -> str:
    algorithm = challenge.algorithm
    secret = _hash(algorithm, f"{account.user}:{challenge.realm}:{account.password}")
    action = _hash(algorithm, f"{method}:{uri}")
    middle = f"{challenge.nonce}:{counted[0]}:{counted[1]}:auth" if counted else challenge.nonce
    return _hash(algorithm, f"{secret}:{middle}:{action}")


def _hash(algorithm: str, text: str) -> str:
    make = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5
    return make(text.encode()).hexdigest()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


class Gatekeeper:
    """Challenges callers. Its nonces carry their time, authenticated by a key, so it keeps no state of callers."""

    def __init__(self, account: Account, realm: str = "parley") -> None:
        self._account = account
        self._realm = realm
        self._key = secrets.token_bytes(32)

    def challenges(self, now: int, *, is_stale: bool = False) -> list[str]:
        """Return the headers of a challenge, the strongest first. `now` is in ns."""
        nonce = self._nonce(now // 1_000_000_000)
        stale = ", stale=true" if is_stale else ""
        return [
            f'Digest realm="{self._realm}", nonce="{nonce}", qop="auth", algorithm={algorithm}{stale}'
            for algorithm in _PREFERRED
        ]

    def check(self, header: str, method: str, now: int) -> bool | None:
        """Return True if the credentials are right, False if wrong, None if their nonce has expired."""
        try:
            given = parameters_of(header)
            nonce, uri, response = given["nonce"], given["uri"], given["response"]
        except (ValueError, KeyError):
            return False
        algorithm = given.get("algorithm", "MD5").upper()
        if algorithm not in _PREFERRED or given.get("realm") != self._realm:
            return False
        counted = None
        if "qop" in given:
            if given["qop"] != "auth":
                return False
            counted = (given.get("nc", ""), given.get("cnonce", ""))
        challenge = Challenge(self._realm, nonce, None, algorithm, counted is not None, False)
        expected = _response(challenge, self._account, method, uri, counted)
        is_user = hmac.compare_digest(given.get("username", "").encode(), self._account.user.encode())
        if not hmac.compare_digest(expected.encode(), response.lower().encode()) or not is_user:
            return False
        made, _, _ = nonce.partition(".")
        seconds = now // 1_000_000_000
        if not made.isdecimal() or not hmac.compare_digest(self._nonce(int(made)).encode(), nonce.encode()):
            return None
        return True if 0 <= seconds - int(made) <= NONCE_SECONDS else None

    def _nonce(self, seconds: int) -> str:
        return f"{seconds}.{hmac.digest(self._key, str(seconds).encode(), 'sha256').hex()[:32]}"
