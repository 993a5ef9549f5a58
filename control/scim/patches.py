"""Changes to a resource by PATCH (RFC 7644, section 3.5.2).

Okta sends values without a path. Entra sends capitalised operations, dotted names, and booleans as text.
"""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from control.scim import paths
from control.scim.errors import invalid
from control.scim.paths import ENTERPRISE, Path

SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_MAX_OPERATIONS = 100
Resource = dict[str, Any]


class Operation(NamedTuple):
    """`verb` is add, replace or remove; `value` is an object if there is no path."""

    verb: str
    path: Path | None
    value: Any


def patched(resource: Resource, body: Any) -> Resource:
    """Return the resource after all operations; raises ScimError."""
    changed = copy.deepcopy(resource)
    for verb, path, value in operations(body):
        if path is not None:
            _apply(changed, path, verb, value)
        else:
            for name, one in value.items():
                _apply(changed, paths.parse_path(name), verb, one)
    return changed


def operations(body: Any) -> Iterator[Operation]:
    """Return the operations of a PATCH in order; raises ScimError."""
    entries = paths.get(body, "Operations") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_OPERATIONS:
        raise invalid(f"A PATCH must have 1 to {_MAX_OPERATIONS} operations.", "invalidSyntax")
    for entry in entries:
        if not isinstance(entry, dict):
            raise invalid("An operation must be an object.", "invalidSyntax")
        verb, path = str(paths.get(entry, "op")).lower(), paths.get(entry, "path")
        value = paths.get(entry, "value")
        if verb not in ("add", "replace", "remove"):
            raise invalid("An operation must be add, replace or remove.", "invalidSyntax")
        if not path and (verb == "remove" or not isinstance(value, dict)):
            raise invalid("An operation without a path needs an object as its value.", "noTarget")
        yield Operation(verb, paths.parse_path(str(path)) if path else None, value)


def _apply(resource: Resource, path: Path, verb: str, value: Any) -> None:
    target = resource
    if path.extension:
        target = resource.setdefault(ENTERPRISE, {})
        if not path.name:
            target.clear() if verb == "remove" else target.update(value if isinstance(value, dict) else {})
            return
    name = next((key for key in target if key.lower() == path.name.lower()), path.name)
    if path.selected:
        _apply_to_entries(target, name, path, verb, value)
    elif path.sub:
        part = target.setdefault(name, {})
        if not isinstance(part, dict):
            raise invalid("The path names a sub-attribute of an attribute that has none.", "invalidPath")
        _put(part, path.sub, verb, value)
    else:
        _put(target, name, verb, value)


def _put(target: Resource, name: str, verb: str, value: Any) -> None:
    if verb == "remove":
        target.pop(name, None)
    elif verb == "add" and isinstance(target.get(name), list):
        added = value if isinstance(value, list) else [value]
        target[name] += [one for one in added if one not in target[name]]
    elif isinstance(target.get(name), dict) and isinstance(value, dict):
        target[name] |= value
    else:
        target[name] = value


def _apply_to_entries(target: Resource, name: str, path: Path, verb: str, value: Any) -> None:
    entries = target.setdefault(name, [])
    if not isinstance(entries, list):
        raise invalid("The path has a filter for an attribute that is not a list.", "invalidPath")
    chosen = [one for one in entries if all(paths.holds(comparison, one) for comparison in path.selected)]
    if verb == "remove" and not path.sub:
        target[name] = [one for one in entries if one not in chosen]
        return
    if not chosen and verb != "remove":  # Entra sends "replace" for the address of an account that has none yet
        chosen = [{c.path: c.value for c in path.selected if c.operator == "eq"}]
        entries += chosen
    for entry in chosen:
        if not isinstance(entry, dict):
            raise invalid("The path selects entries that have no sub-attributes.", "invalidPath")
        if path.sub:
            _put(entry, path.sub, verb, value)
        elif isinstance(value, dict):
            entry.update(value)
