"""OpenID Connect (Core 1.0), authorization code flow with PKCE (RFC 7636).

The provider's response is accepted only from the browser that started the attempt (state), for this attempt (nonce),
for this client, before it expires, and signed with the issuer's published key by an asymmetric algorithm.
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import jwt
import msgspec

from control.config import OidcProvider
from control.problem import Problem
from foundation.answer_body import read_body

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
_FRESH_SECONDS = 3600.0
_LEEWAY_SECONDS = 30


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in, kept in the browser."""

    provider: str
    state: str
    nonce: str
    verifier: str
    return_to: str


def new_attempt(provider: str, return_to: str) -> Attempt:
    return Attempt(provider, secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), return_to)


class OidcClient:
    """Client of one provider. The provider's metadata and keys are cached for an hour."""

    def __init__(self, provider: OidcProvider, redirect_uri: str, http: aiohttp.ClientSession) -> None:
        self.provider = provider
        self._redirect_uri = redirect_uri
        self._http = http
        self._known: tuple[float, _Discovery] | None = None
        self._keys: tuple[float, jwt.PyJWKSet] | None = None

    async def authorization_url(self, attempt: Attempt, max_age: int | None = None) -> str:
        """Return the URL to send the browser to; raises Problem 502 if the provider does not answer.

        With `max_age`, the provider asks users to sign in again if they last did so more than that many seconds ago.
        """
        discovery = await self._discovery()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid profile email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if max_age is not None:
            query["max_age"] = str(max_age)
        separator = "&" if "?" in discovery.authorization_endpoint else "?"
        return discovery.authorization_endpoint + separator + urlencode(query)

    async def claims(self, attempt: Attempt, code: str) -> dict[str, Any]:
        """Exchange the code and return the verified claims; raises Problem 403 or 502."""
        discovery = await self._discovery()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        # RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined.
        pair = f"{quote_plus(self.provider.client_id)}:{quote_plus(self.provider.client_secret)}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        try:
            async with self._http.post(
                discovery.token_endpoint, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False
            ) as answer:
                data = await answer.read()
                if 400 <= answer.status < 500:
                    raise Problem(403, "oidc_refused", "The identity provider did not accept the sign-in.")
                tokens = msgspec.json.decode(data, type=_Tokens)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise _unavailable() from error
        return await self._verified(tokens.id_token, discovery, attempt)

    async def _verified(self, token: str, discovery: _Discovery, attempt: Attempt) -> dict[str, Any]:
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")), discovery)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self.provider.client_id,
                issuer=discovery.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise _untrusted() from error
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise _untrusted()
        _check_authorized_party(claims, self.provider.client_id)
        return claims

    async def _key(self, kid: str, discovery: _Discovery) -> jwt.PyJWK:
        """Return the issuer's key with this id. Unknown keys are looked up at most once a minute."""
        now = time.monotonic()
        if self._keys is None or now - self._keys[0] > _FRESH_SECONDS:
            self._keys = now, await self._fetch_keys(discovery)
        found = _find(self._keys[1], kid)
        if found is None and now - self._keys[0] > 60:
            self._keys = now, await self._fetch_keys(discovery)
            found = _find(self._keys[1], kid)
        if found is None:
            raise _untrusted()
        return found

    async def _fetch_keys(self, discovery: _Discovery) -> jwt.PyJWKSet:
        try:
            return jwt.PyJWKSet.from_json((await self._get(discovery.jwks_uri)).decode())
        except (jwt.PyJWTError, ValueError) as error:
            raise _unavailable() from error

    async def _discovery(self) -> _Discovery:
        now = time.monotonic()
        if self._known is None or now - self._known[0] > _FRESH_SECONDS:
            url = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                found = msgspec.json.decode(await self._get(url), type=_Discovery)
            except msgspec.DecodeError as error:
                raise _unavailable() from error
            if found.issuer.rstrip("/") != self.provider.issuer.rstrip("/"):
                raise _unavailable()
            self._known = now, found
        return self._known[1]

    async def _get(self, url: str) -> bytes:
        try:
            async with self._http.get(url, timeout=_TIMEOUT, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise _unavailable()
                return await read_body(answer, 1024 * 1024)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable() from error


def _check_authorized_party(claims: dict[str, Any], client_id: str) -> None:
    """Raise Problem 403 for a token issued to another client (section 3.1.3.7, 3 to 5)."""
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise _untrusted()


def _find(keys: jwt.PyJWKSet, kid: str) -> jwt.PyJWK | None:
    candidates = [key for key in keys.keys if not kid or key.key_id == kid]
    return candidates[0] if len(candidates) == 1 else None


def _untrusted() -> Problem:
    return Problem(403, "oidc_token", "The response of the identity provider cannot be trusted.")


def _unavailable() -> Problem:
    return Problem(502, "oidc_unavailable", "The identity provider is not answering.")
