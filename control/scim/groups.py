"""Conversion between SCIM groups and what is stored of them, and changes to groups by PATCH.

A group has a name, an id at the provider, and accounts as members. Groups in groups are refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from control.scim import paths
from control.scim.errors import invalid
from control.scim.patches import operations
from control.scim.paths import GROUP, Path
from control.scim.serving import Resource
from control.scim.users import meta, text_of
from control.store.provisioned_groups import GroupRow, MemberRow

MAX_MEMBERS = 10_000


@dataclass(frozen=True, slots=True)
class Group:
    """A group as a provider wants it; `members` are ids of accounts."""

    name: str
    external_id: str | None
    members: frozenset[str]

    def __post_init__(self) -> None:
        if not self.name:
            raise invalid("displayName is missing.")
        if len(self.members) > MAX_MEMBERS:
            raise invalid(f"A group has at most {MAX_MEMBERS:,} members.")


def wanted(resource: Any) -> Group:
    """Return the group that a resource describes; raises ScimError."""
    if not isinstance(resource, dict):
        raise invalid("A group must be an object.", "invalidSyntax")
    return Group(
        text_of(resource, "displayName"), text_of(resource, "externalId") or None, _ids(paths.get(resource, "members"))
    )


def patched(group: Group, body: Any) -> Group:
    """Return the group after all operations of a PATCH; raises ScimError.

    Entra sends `remove` of members with a value, Okta with a filter in the path. Both send names without a path.
    """
    for verb, path, value in operations(body):
        if path is not None:
            group = _changed(group, verb, path, value)
            continue
        for name, one in value.items():
            if name.lower() not in ("id", "schemas", "meta"):
                group = _changed(group, verb, paths.parse_path(name), one)
    return group


def _changed(group: Group, verb: str, path: Path, value: Any) -> Group:
    if path.extension or path.sub:
        raise invalid("A group has no such attribute.", "invalidPath")
    match path.name.lower():
        case "members":
            return replace(group, members=_members(group.members, verb, path, value))
        case "displayname":
            return replace(group, name=text_of({"displayName": value}, "displayName") if verb != "remove" else "")
        case "externalid":
            external_id = text_of({"externalId": value}, "externalId") if verb != "remove" else ""
            return replace(group, external_id=external_id or None)
    raise invalid("A group has no such attribute.", "invalidPath")


def _members(members: frozenset[str], verb: str, path: Path, value: Any) -> frozenset[str]:
    if path.selected:
        if verb != "remove":
            raise invalid("Members are added by their value.", "invalidPath")
        holding = (
            {one for one in members if all(paths.holds(comparison, {"value": one}) for comparison in path.selected)}
        )  # fmt: skip
        return members - holding
    if verb == "remove":
        return members - _ids(value) if value is not None else frozenset()
    return members | _ids(value) if verb == "add" else _ids(value)


def _ids(value: Any) -> frozenset[str]:
    """Return the ids in a list of members, or in a single member."""
    entries: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    ids = set()
    for entry in entries:
        kind = paths.get(entry, "type") if isinstance(entry, dict) else None
        if isinstance(kind, str) and kind.lower() == "group":
            raise invalid("Groups in groups are not supported.")
        found = paths.get(entry, "value") if isinstance(entry, dict) else entry
        if not isinstance(found, str) or not 0 < len(found) <= 100:
            raise invalid("A member must have the id of an account as its value.")
        ids.add(found.replace("\x00", ""))
    return frozenset(ids)


def resource_of(row: GroupRow, members: Iterable[MemberRow] | None, base: str) -> Resource:
    """Return the resource of a group; without `members` if they are None."""
    found: Resource = {"schemas": [GROUP], "id": row.id, "displayName": row.name}
    found |= {"externalId": row.external_id} if row.external_id is not None else {}
    if members is not None:
        found["members"] = [
            {
                "value": member.user_id,
                "display": member.display_name,
                "type": "User",
                "$ref": f"{base}/Users/{member.user_id}",
            }
            for member in members
        ]
    return found | {"meta": meta("Group", row, base)}
