"""Mail: through SMTP where it is configured, otherwise into the log of this process."""

import logging
from email.message import EmailMessage

import aiosmtplib
from prometheus_client import Counter

from control.config import SmtpConfig

_LOG = logging.getLogger(__name__)
_SENT = Counter("control_mails_total", "Mails", ["outcome"])


class MailError(Exception):
    """The mail server refused or did not answer."""


class Mailer:
    def __init__(self, smtp: SmtpConfig | None) -> None:
        self._smtp = smtp

    async def send(self, to: str, subject: str, text: str) -> None:
        """Send a plain text; raises MailError."""
        if self._smtp is None:
            _LOG.warning("no mail server is configured; mail to %s: %s\n%s", to, subject, text)
            _SENT.labels("logged").inc()
            return
        message = EmailMessage()
        try:
            message["From"] = self._smtp.sender
            message["To"] = to
            message["Subject"] = subject
            message.set_content(text)
            await aiosmtplib.send(
                message,
                hostname=self._smtp.host,
                port=self._smtp.port,
                username=self._smtp.username,
                password=self._smtp.password,
                use_tls=self._smtp.tls == "implicit",
                start_tls={"starttls": True, "none": False, "implicit": False}[self._smtp.tls],
                timeout=15,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            _SENT.labels("failed").inc()
            raise MailError(f"mail to {to} was not taken: {error}") from error
        _SENT.labels("sent").inc()
