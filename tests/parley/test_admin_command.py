"""`parley admin` and `parley openapi`, run like an operator does."""

import io
import json
from pathlib import Path

import pytest

from control.migrations import migrate
from parley.cli import main
from parley.embedded_postgres import EmbeddedPostgres
from tests.control.conftest import postgres

__all__ = ["postgres"]


@pytest.fixture
def database(postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    import asyncio

    postgres.create_database()
    asyncio.run(migrate(postgres.dsn))
    (tmp_path / "data").mkdir()
    for name, value in {
        "PARLEY_DATABASE_URL": postgres.dsn,
        "PARLEY_DATA_DIR": str(tmp_path / "data"),
        "PARLEY_NODE_SECRET": "secret",
        "PARLEY_HTTPS_PORT": "-1",
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["make-keys"]) == 0
    return postgres.dsn


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_an_account_from_beginning_to_end(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "short\n")
    assert main(["admin", "create", "root"]) == 1
    assert "8 characters" in capsys.readouterr().err
    typed(monkeypatch, "long enough\n")
    assert main(["admin", "create", "root", "--email", "root@example.org"]) == 0
    typed(monkeypatch, "long enough\n")
    assert main(["admin", "create", "ROOT"]) == 1
    typed(monkeypatch, "another one\n")
    assert main(["admin", "reset-password", "root@example.org"]) == 0
    assert main(["admin", "reset-password", "nobody"]) == 1
    out = tmp_path / "export"
    assert main(["admin", "export", "root", str(out)]) == 0
    data = json.loads((out / "data.json").read_text())
    assert data["users"][0]["username"] == "root"
    assert [row["action"] for row in data["operation_logs"]] == ["create_admin", "reset_password"]
    assert "hash" not in json.dumps(data)
    assert main(["admin", "export", "root", str(out)]) == 1
    # The last administrator stays.
    assert main(["admin", "delete", "root", "--yes"]) == 1
    typed(monkeypatch, "long enough\n")
    assert main(["admin", "create", "second"]) == 0
    typed(monkeypatch, "no\n")
    assert main(["admin", "delete", "root"]) == 1
    typed(monkeypatch, "root\n")
    assert main(["admin", "delete", "root"]) == 0
    assert main(["admin", "export", "root", str(tmp_path / "again")]) == 1


def test_a_database_that_is_away_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PARLEY_RUNTIME_DIR", str(tmp_path))
    typed(monkeypatch, "long enough\n")
    assert main(["admin", "create", "root"]) == 1
    assert "database" in capsys.readouterr().err


def test_the_document_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["openapi"] == "3.1.0"
    assert "/api/v1/meetings/{meeting}/join" in document["paths"]
