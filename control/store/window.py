"""Pages of lists: the order of the rows, and the row after which a page begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from control.database import Connection, Row


@dataclass(frozen=True, slots=True)
class Window:
    """A page in the order of a column, and of a unique key among equal values.

    `after` holds both of the row before the page, None for the first page.
    """

    limit: int
    column: str
    descending: bool = True
    after: tuple[Any, Any] | None = None

    @property
    def most(self) -> int:
        """The number of rows that a query asks for: with one more, it is known whether another page follows."""
        return self.limit + 1

    @property
    def values(self) -> tuple[Any, ...]:
        """The parameters of `follows`."""
        return self.after or ()

    def order(self, column: str, key: str) -> str:
        """Return the ORDER BY and LIMIT clauses for these expressions."""
        direction = "DESC" if self.descending else "ASC"
        return f"ORDER BY {column} {direction}, {key} {direction} LIMIT {self.most}"

    def follows(self, column: str, key: str, first: int) -> str:
        """Return the condition for rows after `after`, whose parameters are numbered from `first`."""
        return f"({column}, {key}) {'<' if self.descending else '>'} (${first}, ${first + 1})" if self.after else "TRUE"


async def rows(
    connection: Connection,
    kind: type[Row],
    query: str,
    window: Window,
    *values: Any,
    key: str = "id",
    search: str = "",
    searched: Sequence[str] = (),
) -> list[Row]:
    """Return the rows of a page of a query, and one more if another page follows.

    With `search`, these are rows in which it occurs in a column that is `searched`.
    """
    if search:
        text = f"lower(concat_ws(E'\\n', {', '.join(searched)}))"
        query = f"SELECT * FROM ({query}) found WHERE position(lower(${len(values) + 1}) IN {text}) > 0"  # noqa: S608
        values = (*values, search)
    condition, order = window.follows(window.column, key, len(values) + 1), window.order(window.column, key)
    paged = f"SELECT * FROM ({query}) listed WHERE {condition} {order}"  # noqa: S608  a declared column
    return await connection.all(kind, paged, *values, *window.values)
