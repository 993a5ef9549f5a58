"""Lists in pages, newest first: a page's `next` is the cursor of the page that follows."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

from control.problem import Problem

Row = TypeVar("Row")


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cursor` is the `next` of the previous page."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: str | None = None


def decode_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the position that a cursor encodes; raises Problem 400 if the cursor is invalid."""
    if cursor is None:
        return None
    try:
        moment, _, last = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise Problem(400, "invalid_cursor", "The cursor is invalid.") from error
    if at.tzinfo is None or "\x00" in last:
        raise Problem(400, "invalid_cursor", "The cursor is invalid.")
    return at, last


def page_of(
    rows: list[Row], limit: int, position: Callable[[Row], tuple[datetime, str]]
) -> tuple[list[Row], str | None]:
    """Return up to `limit` rows and the cursor of the next page, None if there are no more rows.

    `position` returns a row's time and id. The query must have asked for one row more than `limit`.
    """
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    moment, last = position(page[-1])
    return page, base64.urlsafe_b64encode(f"{moment.isoformat()}|{last}".encode()).decode()
