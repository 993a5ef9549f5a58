"""Attribute paths and filters of SCIM (RFC 7644, sections 3.4.2.2 and 3.5.2), as identity providers use them.

A filter is one or more comparisons joined by `and`. Names are compared without case.
"""

import json
import re
from typing import Any, NamedTuple

from control.scim.errors import invalid

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_MAX_LENGTH = 1000
_OPERATORS = ("eq", "ne", "co", "sw", "ew", "pr")
_COMPARISON = re.compile(
    r"\s*(?P<path>[\w$:.-]+(?:\[[^\]]*\])?(?:\.[\w$-]+)?)\s+(?P<operator>[A-Za-z]{2})"
    r'(?:\s+(?P<value>"(?:[^"\\]|\\.)*"|[^\s\]]+))?\s*'
)
_PATH = re.compile(r"(?P<name>[\w$-]+)(?:\[(?P<filter>[^\]]*)\])?(?:\.(?P<sub>[\w$-]+))?")


class Comparison(NamedTuple):
    """`path operator value`; the value is None for `pr`."""

    path: str
    operator: str
    value: Any


class Path(NamedTuple):
    """An attribute, the filter that selects entries of it, and a sub-attribute of these."""

    extension: bool
    name: str
    selected: tuple[Comparison, ...]
    sub: str


def parse_filter(text: str) -> tuple[Comparison, ...]:
    """Return the comparisons, all of which must hold; raises ScimError."""
    if len(text) > _MAX_LENGTH:
        raise invalid("The filter is too long.", "invalidFilter")
    found = []
    at = 0
    while True:
        match = _COMPARISON.match(text, at)
        operator = match["operator"].lower() if match else ""
        if match is None or operator not in _OPERATORS or (match["value"] is None) != (operator == "pr"):
            raise invalid("Only comparisons (eq, ne, co, sw, ew, pr) joined by 'and' are supported.", "invalidFilter")
        found.append(Comparison(match["path"], operator, None if operator == "pr" else _value(match["value"])))
        at = match.end()
        if at == len(text):
            return tuple(found)
        if text[at : at + 4].lower() != "and ":
            raise invalid("Only comparisons joined by 'and' are supported.", "invalidFilter")
        at += 4


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false", "null") else text)
    except ValueError as error:
        raise invalid("A value in the filter must be a string, a number or a boolean.", "invalidFilter") from error


def parse_path(text: str) -> Path:
    """Return a path without the URN of its schema; raises ScimError."""
    extension = text.lower().startswith(ENTERPRISE.lower())
    for urn in (ENTERPRISE, CORE, GROUP):
        if text.lower().startswith(urn.lower()):
            text = text[len(urn) :].lstrip(":")
            break
    if extension and not text:
        return Path(True, "", (), "")
    match = _PATH.fullmatch(text)
    if match is None:
        raise invalid("The path is invalid.", "invalidPath")
    selected = parse_filter(match["filter"]) if match["filter"] else ()
    return Path(extension, match["name"], selected, match["sub"] or "")


def holds(comparison: Comparison, entry: Any) -> bool:
    """Return whether a comparison holds for an entry of a list, such as an address in `emails`."""
    value = get(entry, comparison.path) if isinstance(entry, dict) else entry
    return compare(comparison, value)


def compare(comparison: Comparison, value: Any) -> bool:
    """Return whether a comparison holds for a value; strings are compared without case."""
    wanted = comparison.value
    if comparison.operator == "pr":
        return value not in (None, "", [])
    if isinstance(value, str) and isinstance(wanted, str):
        value, wanted = value.casefold(), wanted.casefold()
    match comparison.operator:
        case "eq":
            return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)
        case "ne":
            return bool(value != wanted)
    if not isinstance(value, str) or not isinstance(wanted, str):
        return False
    return {"co": wanted in value, "sw": value.startswith(wanted), "ew": value.endswith(wanted)}[comparison.operator]


def get(resource: dict[str, Any], name: str) -> Any:
    """Return an attribute by its name in any case; None if it is absent."""
    return next((value for key, value in resource.items() if key.lower() == name.lower()), None)
