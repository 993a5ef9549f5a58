"""Mail: sent by SMTP if configured, otherwise written to files that only the operator can read.

Mails contain links that set a password, so they are never logged: logs are collected and read by others.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
from prometheus_client import Counter

from control.config import SmtpConfig

_log = logging.getLogger(__name__)
_SENT = Counter("parley_control_mails_total", "Mails", ["outcome"])
for _outcome in ("sent", "written", "failed"):  # an alert needs the counter to exist before it first rises
    _SENT.labels(_outcome)
_SENDER_WITHOUT_SMTP = "parley@localhost"
_MOST_FILES = 500
_KEPT_SECONDS = 14 * 86400  # no mailed link is valid for longer


class MailError(Exception):
    """The mail server refused the mail, or it could not be written to the directory."""


class Mailer:
    def __init__(self, smtp: SmtpConfig | None, directory: Path) -> None:
        """Set the SMTP server; without one, mails are written to files in `directory`."""
        self._smtp = smtp
        self._directory = directory

    @property
    def configured(self) -> bool:
        """True if mails reach people rather than files."""
        return self._smtp is not None

    async def send(
        self,
        to: str,
        subject: str,
        text: str,
        *,
        reply_to: str | None = None,
        calendar: bytes | None = None,
        unsubscribe: str | None = None,
    ) -> None:
        """Send a plain-text mail, with a calendar file (RFC 5545) if there is one; raises MailError.

        `unsubscribe` is the address of a page where the recipient switches such mails off (RFC 2369).
        """
        try:
            message = EmailMessage()
            message["From"] = self._smtp.sender if self._smtp is not None else _SENDER_WITHOUT_SMTP
            message["To"] = to
            message["Subject"] = subject
            if reply_to is not None:
                message["Reply-To"] = reply_to
            if unsubscribe is not None:
                message["List-Unsubscribe"] = f"<{unsubscribe}>"
                message["Auto-Submitted"] = "auto-generated"
            message.set_content(text)
            if calendar is not None:
                message.add_attachment(
                    calendar,
                    maintype="text",
                    subtype="calendar",
                    filename="meeting.ics",
                    params={"charset": "utf-8", "method": "PUBLISH"},
                )
            if self._smtp is None:
                path = await asyncio.to_thread(_keep, self._directory, message)
                _log.warning("no mail server is configured; the mail is in %s", path)
            else:
                await _hand_over(self._smtp, message)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            _SENT.labels("failed").inc()
            raise MailError(f"mail to {to} was refused: {error}") from error
        _SENT.labels("written" if self._smtp is None else "sent").inc()


async def _hand_over(smtp: SmtpConfig, message: EmailMessage) -> None:
    await aiosmtplib.send(
        message,
        hostname=smtp.host,
        port=smtp.port,
        username=smtp.username,
        password=smtp.password,
        use_tls=smtp.tls == "implicit",
        start_tls={"starttls": True, "none": False, "implicit": False}[smtp.tls],
        timeout=15,
    )


def _keep(directory: Path, message: EmailMessage) -> Path:
    """Write a mail to a private file, and delete old and excess files."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    seconds, rest = divmod(time.time_ns(), 10**9)
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seconds))}-{rest:09}-{secrets.token_hex(4)}.eml"
    path = directory / name  # names sort by time
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(message.as_bytes())
    kept = sorted(one for one in directory.glob("*.eml") if one != path)
    oldest = time.time() - _KEPT_SECONDS
    for index, one in enumerate(kept):
        with contextlib.suppress(FileNotFoundError):  # another process deleted it first
            if index <= len(kept) - _MOST_FILES or one.stat().st_mtime < oldest:
                one.unlink()
    return path
