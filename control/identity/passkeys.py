"""Passkeys: the relying party of Web Authentication (Level 3), built on the library `webauthn`.

The authenticator verifies the user at each ceremony (by PIN or fingerprint), so a passkey alone counts as two factors.
The relying party is the host of the page. The origin that the browser reports must be the page's, or a configured one
with the same host. Attestation is not requested: any authenticator is accepted.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import webauthn
from quart import Request
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from control.problem import Problem

SECONDS = 300
_REQUIRED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The relying party: `host` without a port, and the origins of its pages."""

    host: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewCredential:
    credential_id: bytes
    public_key: bytes
    sign_count: int


def relying_party(request: Request, configured: tuple[str, ...], secure: bool) -> RelyingParty:
    """Return the relying party of a request."""
    own = f"{'https' if secure or request.scheme == 'https' else 'http'}://{request.host}"
    host = urlsplit(own).hostname or ""
    return RelyingParty(host, (own, *(origin for origin in configured if urlsplit(origin).hostname == host)))


def registration_options(
    party: RelyingParty,
    challenge: bytes,
    *,
    product: str,
    user: str,
    username: str,
    display_name: str,
    known: list[bytes],
) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON; authenticators that hold one of the `known` passkeys decline."""
    options = webauthn.generate_registration_options(
        rp_id=party.host,
        rp_name=product,
        user_id=user.encode(),
        user_name=username,
        user_display_name=display_name,
        challenge=challenge,
        timeout=SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return _plain(options)


def verify_registration(party: RelyingParty, challenge: bytes, credential: dict[str, Any]) -> NewCredential:
    """Return the stored part of a new credential; raises Problem 403 if it does not verify."""
    try:
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.host,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise refused() from error
    return NewCredential(found.credential_id, found.credential_public_key, found.sign_count)


def sign_in_options(party: RelyingParty, challenge: bytes) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON for any passkey of this host."""
    options = webauthn.generate_authentication_options(
        rp_id=party.host, challenge=challenge, timeout=SECONDS * 1000, user_verification=_REQUIRED
    )
    return _plain(options)


def verify_sign_in(
    party: RelyingParty, challenge: bytes, credential: dict[str, Any], public_key: bytes, sign_count: int
) -> int:
    """Return the authenticator's new count; raises Problem 403 if the assertion does not verify.

    A count that did not rise reveals a cloned authenticator (section 6.1.1). Synchronised passkeys do not count.
    """
    try:
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.host,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise refused() from error
    return found.new_sign_count


def challenge_of(credential: dict[str, Any]) -> bytes:
    """Return the unverified challenge of a credential, only to look it up; raises Problem 403."""
    try:
        data = json.loads(webauthn.base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return webauthn.base64url_to_bytes(data["challenge"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused() from error


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """Return the id of a credential; raises Problem 403."""
    try:
        return webauthn.base64url_to_bytes(credential["id"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused() from error


def refused() -> Problem:
    return Problem(403, "passkey", "The passkey was not accepted.")


def _plain(options: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return plain
