"""Secrets in mails or for the operator are only in private files, never in a log."""

import logging
import os
import re
from email import message_from_bytes
from pathlib import Path

import pytest

from control.config import ControlConfig
from control.mail import Mailer, MailError
from tests.control.harness import PASSWORD, People, serving


async def test_without_a_mail_server_mails_are_files_of_the_operator(
    people: People, config: ControlConfig, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"username": "ada", "password": PASSWORD, "email": "ada@example.org", "mode": "token"}
    ada = people.bearer((await people.nobody().ok("POST", "/api/v1/auth/register", body))["access_token"])
    with caplog.at_level(logging.DEBUG):
        await ada.ok("POST", "/api/v1/users/verify-email")
        await people.nobody().ok("POST", "/api/v1/auth/forgot-password", {"email": "ada@example.org"})
        await ada.ok("POST", "/api/v1/users/api-keys", {"name": "x", "scopes": ["meetings:read"]})
    directory = config.data_dir / "mail"
    assert directory.stat().st_mode & 0o777 == 0o700
    mails = sorted(directory.iterdir())
    assert [mail.stat().st_mode & 0o777 for mail in mails] == [0o600, 0o600]
    tokens = [found for mail in mails for found in re.findall(r"token=3?D?([\w-]{20,})", mail.read_text())]
    assert len(tokens) == 2
    assert str(directory) in caplog.text
    assert not [token for token in tokens if token[:20] in caplog.text]


async def test_only_the_latest_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.mail._MOST_FILES", 3)
    mailer = Mailer(None, tmp_path / "mail")

    def subjects() -> list[str]:
        kept = sorted((tmp_path / "mail").iterdir())
        return [message_from_bytes(mail.read_bytes())["Subject"] for mail in kept]

    for number in range(5):
        await mailer.send("a@example.org", str(number), "text")
    assert subjects() == ["2", "3", "4"]
    os.utime(sorted((tmp_path / "mail").iterdir())[1], (0, 0))
    await mailer.send("a@example.org", "5", "text")
    assert subjects() == ["4", "5"]


async def test_a_directory_that_cannot_be_written_is_a_mail_not_taken(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(MailError):
        await Mailer(None, tmp_path / "mail").send("a@example.org", "s", "t")


async def test_the_link_of_the_first_administrator_is_in_no_log(
    config: ControlConfig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(config):
            link = config.data_dir / "first-admin-link"
            token = link.read_text().strip().partition("token=")[2]
    assert str(link) in caplog.text and token not in caplog.text
