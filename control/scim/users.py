"""Conversion between SCIM users and accounts.

The server uses userName, displayName (or the name), the primary e-mail address, `active`, and the role `admin`. Other
attributes of the core and enterprise schemas are stored and returned. An address counts as confirmed: the provider
vouches for it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control.hidden_characters import HIDDEN
from control.scim import paths
from control.scim.errors import invalid
from control.scim.paths import CORE, ENTERPRISE
from control.store.provisioned_groups import GroupRow
from control.store.provisioning import ProvisionedRow
from control.store.users import UserRole

Resource = dict[str, Any]
ADMIN = "admin"
_KEPT = (
    "name", "nickName", "title", "userType", "preferredLanguage", "locale", "timezone", "phoneNumbers", "addresses",
)  # fmt: skip
_MAX_KEPT_BYTES = 16_384
_HIDDEN = re.compile(f"[{HIDDEN}]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as a provider wants it. If `role` is None, the account keeps its role."""

    user_name: str
    external_id: str | None
    display_name: str
    email: str | None
    active: bool
    role: UserRole | None
    attributes: Resource

    @property
    def username(self) -> str:
        """A user name with the characters that this server allows, for sign-in with a password."""
        name = re.sub(r"[^\w.+-]+", "-", self.user_name.partition("@")[0]).strip("-")[:64]
        return name if len(name) > 1 else f"user-{name}"


def wanted(resource: Any) -> Wanted:
    """Return the account that a resource describes; raises ScimError."""
    if not isinstance(resource, dict):
        raise invalid("A user must be an object.", "invalidSyntax")
    user_name = text_of(resource, "userName")
    if not user_name:
        raise invalid("userName is missing.")
    name = paths.get(resource, "name")
    parts = name if isinstance(name, dict) else {}
    whole = " ".join(filter(None, (text_of(parts, "givenName"), text_of(parts, "familyName"))))
    display_name = text_of(resource, "displayName") or text_of(parts, "formatted") or whole or user_name
    kept = {key: value for key in _KEPT if (value := paths.get(resource, key)) is not None}
    extension = paths.get(resource, ENTERPRISE)
    kept |= {ENTERPRISE: extension} if isinstance(extension, dict) and extension else {}
    if "displayName" in resource:
        kept["displayName"] = display_name
    if len(msgspec.json.encode(kept)) > _MAX_KEPT_BYTES:
        raise invalid("The attributes are too large.", "tooMany")
    return Wanted(
        user_name=user_name,
        external_id=text_of(resource, "externalId") or None,
        display_name=display_name,
        email=_email(resource, user_name),
        active=_boolean(paths.get(resource, "active"), True),
        role=_role(resource),
        attributes=kept,
    )


def text_of(resource: Resource, name: str) -> str:
    value = paths.get(resource, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{name} must be text.")
    return _HIDDEN.sub("", value).strip()[:200]


def _email(resource: Resource, user_name: str) -> str | None:
    """Return the primary address, or else the first one, or else a userName that is an address."""
    emails = paths.get(resource, "emails")
    entries = [one for one in emails if isinstance(one, dict)] if isinstance(emails, list) else []
    entries.sort(key=lambda one: not _boolean(paths.get(one, "primary"), False))
    address = next((value for one in entries if (value := text_of(one, "value"))), user_name)
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address) and len(address) <= 254:
        return address
    if address is not user_name:
        raise invalid("An e-mail address is invalid.")
    return None


def _role(resource: Resource) -> UserRole | None:
    roles = paths.get(resource, "roles")
    if roles is None:
        return None
    if not isinstance(roles, list):
        raise invalid("roles must be a list.")
    values = {str(paths.get(one, "value") if isinstance(one, dict) else one).casefold() for one in roles}
    return "admin" if ADMIN in values else "user"


def _boolean(value: Any, default: bool) -> bool:
    if value is None:
        return default
    if isinstance(value, str) and value.lower() in ("true", "false"):  # as Entra sends booleans
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise invalid("A boolean must be true or false.")
    return value


def resource_of(row: ProvisionedRow, base: str) -> Resource:
    """Return the resource of an account; `base` is the address of the SCIM API."""
    found: Resource = {"schemas": [CORE, *([ENTERPRISE] if ENTERPRISE in row.attributes else [])]}
    found |= row.attributes | {"id": row.id, "userName": row.user_name, "active": row.state == "active"}
    found.setdefault("displayName", row.display_name)
    found |= {"externalId": row.external_id} if row.external_id is not None else {}
    if row.email is not None:
        found["emails"] = [{"value": row.email, "type": "work", "primary": True}]
    found["roles"] = [{"value": ADMIN, "primary": True}] if row.role == "admin" else []
    found["groups"] = [
        {"value": group["id"], "display": group["name"], "type": "direct", "$ref": f"{base}/Groups/{group['id']}"}
        for group in row.groups
    ]
    return found | {"meta": meta("User", row, base)}


def meta(kind: str, row: ProvisionedRow | GroupRow, base: str) -> Resource:
    """Return the attribute `meta` of a resource (RFC 7643, section 3.1)."""
    return {
        "resourceType": kind,
        "created": moment(row.created_at),
        "lastModified": moment(row.updated_at),
        "location": f"{base}/{kind}s/{row.id}",
    }


def moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
