"""Lists in pages: all take `limit`, `cursor` and `sort`; a page's `next` is the cursor of the page that follows.

A cursor holds the order of its list, and the position of the last entry: the value by which the list is sorted, and the
entry's key.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec

from control.api.types import Answer
from control.problem import Problem
from control.store.window import Window

Row = TypeVar("Row")
Entry = TypeVar("Entry", bound=Answer)
_NAMES = ("name", "title", "url")
_INTEGERS = range(-(2**63), 2**63)


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cursor` is the `next` of the previous page. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    sort: str = "-created_at"


class NewestQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cursor` is the `next` of the previous page. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["created_at", "-created_at"] = "-created_at"


class NamedQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    sort: Literal["created_at", "-created_at", "name", "-name"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class NamedListQuery(NamedQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200


class LinkQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of a file's name or of a domain. `sort` is a field of the entries; a minus reverses it."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    sort: Literal["created_at", "-created_at", "expires_at", "-expires_at"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


def window_of(query: PageQuery, kind: type, key: str = "id") -> Window:
    """Return the page that a query asks for, in a list whose entries are of this kind.

    Raises Problem 400 if the cursor is invalid, or of a list in another order.
    """
    column = query.sort.removeprefix("-")
    after = None if query.cursor is None else _decode(query.cursor, query.sort, kind, column, key)
    return Window(query.limit, column, descending=query.sort.startswith("-"), after=after)


def page_of(
    rows: Sequence[Row], query: PageQuery, key: str = "id", holder: Callable[[Row], object] = lambda row: row
) -> tuple[list[Row], str | None]:
    """Return a page's rows and the cursor of the next page, None if there are no more.

    `rows` holds one row more if another page follows. `holder` returns the object with a row's sorted fields.
    """
    page = list(rows[: query.limit])
    if len(rows) <= query.limit:
        return page, None
    last, column = holder(page[-1]), query.sort.removeprefix("-")
    return page, _encode(query.sort, getattr(last, column), getattr(last, key))


def cut(
    kind: type[Entry], entries: Sequence[Entry], query: PageQuery, key: str = "id", searched: Sequence[str] = _NAMES
) -> tuple[list[Entry], str | None]:
    """Return a page of a whole list, and the cursor of the next page. Entries without a value come first.

    With `search`, the page is one of the entries in which it occurs in a field that is `searched`.
    """
    window = window_of(query, kind, key)
    search = getattr(query, "search", "").casefold()
    found = [entry for entry in entries if search in _text(entry, searched)] if search else entries

    def rank(value: Any, unique: Any) -> tuple[bool, Any, Any]:
        return value is not None, value.casefold() if isinstance(value, str) else value, unique

    def rank_of(entry: Entry) -> tuple[bool, Any, Any]:
        return rank(getattr(entry, window.column), getattr(entry, key))

    ordered = sorted(found, key=rank_of, reverse=window.descending)
    if window.after is not None:
        last = rank(*window.after)
        ordered = [one for one in ordered if (rank_of(one) < last if window.descending else rank_of(one) > last)]
    return page_of(ordered, query, key)


def _text(entry: Answer, searched: Sequence[str]) -> str:
    return "\n".join(str(getattr(entry, name)) for name in searched if getattr(entry, name, None)).casefold()


def _encode(sort: str, value: Any, key: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((sort, value, key))).rstrip(b"=").decode()


def _decode(cursor: str, sort: str, kind: type, column: str, key: str) -> tuple[Any, Any]:
    hints = get_type_hints(kind)
    try:
        encoded = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        fields = msgspec.json.decode(encoded, type=tuple[str, Any, Any])
        known, after = (
            fields[0],
            [msgspec.convert(fields[1], hints[column]), msgspec.convert(fields[2], hints.get(key, str))],
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise _invalid() from error
    if known != sort or not all(map(_is_storable, after)):
        raise _invalid()
    return after[0], after[1]


def _is_storable(value: Any) -> bool:
    """Return True if the database can compare with a value."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return value in _INTEGERS if isinstance(value, int) else not isinstance(value, str) or "\x00" not in value


def _invalid() -> Problem:
    return Problem(400, "invalid_cursor", "The cursor is invalid, or of a list in another order.")
