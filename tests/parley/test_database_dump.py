"""Calls of PostgreSQL's programs: a password is never among the arguments, which every user of the machine can read."""

import pytest

from parley.database_dump import call


@pytest.mark.parametrize(
    ("dsn", "address", "password"),
    [
        (
            "postgresql://ada:p%40ss@db:5433/parley?sslmode=require",
            "postgresql://ada@db:5433/parley?sslmode=require",
            "p@ss",
        ),
        ("postgresql://a%40b@db/parley?password=se%26cret", "postgresql://a%40b@db/parley", "se&cret"),
        ("postgresql://postgres@/parley?host=/run/pg", "postgresql://postgres@/parley?host=%2Frun%2Fpg", None),
    ],
)
def test_passwords_are_in_the_environment(
    dsn: str, address: str, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    command, environment = call("pg_dump", dsn)
    assert command[1] == f"--dbname={address}"
    assert environment.get("PGPASSWORD") == password
