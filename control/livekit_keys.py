"""API keys of LiveKit's SDKs: those of the setting `livekit_keys`, and those that administrators made by REST.

Only control verifies tokens, so no node knows a secret. Secrets made by REST are read from the database for each
token: every control process refuses a revoked key from the next request on.
"""

import logging
import re
import secrets
import string
from collections.abc import Collection, Mapping

from control.database import Connection, Pool
from control.identity import livekit_tokens
from control.identity.livekit_tokens import AccessToken, TokenRefused
from control.identity.sealing import Seal
from control.store import livekit_keys
from control.store.livekit_keys import LiveKitKeyRow

_log = logging.getLogger(__name__)
_ALPHABET = string.ascii_letters + string.digits
_MADE = re.compile(r"API[A-Za-z0-9]{16}")


class LiveKitKeys:
    def __init__(self, pool: Pool, configured: Mapping[str, str], seal: Seal) -> None:
        self.configured = configured
        self._pool = pool
        self._seal = seal

    async def make(self, connection: Connection, name: str) -> tuple[LiveKitKeyRow, str]:
        """Store a new key; return its row and its secret."""
        key = "API" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
        secret = secrets.token_urlsafe(32)
        return await livekit_keys.add(connection, key, name, self._seal.seal(key, secret)), secret

    async def secret(self, key: str) -> str | None:
        """Return a key's secret, None if there is no such key."""
        if key in self.configured:
            return self.configured[key]
        if not _MADE.fullmatch(key):
            return None
        async with self._pool.acquire() as connection:
            sealed = await livekit_keys.used(connection, key)
        try:
            return None if sealed is None else self._seal.open(key, sealed)
        except ValueError as error:
            _log.error("cannot unseal the secret of LiveKit key %s; has session-secret changed? %s", key, error)
            return None

    async def revoked(self, keys: Collection[str]) -> set[str]:
        """Return those of the keys that no longer exist."""
        made = {key for key in keys if key not in self.configured}
        if not made:
            return made
        async with self._pool.acquire() as connection:
            return made - await livekit_keys.existing(connection, made)

    async def verified(self, token: str) -> AccessToken:
        """Return the claims of a token that one of the keys signed, whatever it grants; raises TokenRefused."""
        secret = await self.secret(livekit_tokens.issuer(token))
        if secret is None:
            raise TokenRefused(401, "invalid API key")
        return livekit_tokens.verified(token, secret)

    async def admitted(self, token: str) -> AccessToken:
        """Return the claims of a token that admits its bearer to a room; raises TokenRefused."""
        if not token:
            raise TokenRefused(401, "no permissions to access the room")
        claims = await self.verified(token)
        livekit_tokens.check_admission(claims)
        return claims

    async def signed(self, claims: Mapping[str, object]) -> str:
        """Return a token of these claims, signed by the key that they name; raises TokenRefused if it was revoked."""
        secret = await self.secret(str(claims["iss"]))
        if secret is None:
            raise TokenRefused(401, "invalid API key")
        return livekit_tokens.signed(claims, secret)
