"""How Kafka is reached: brokers, TLS, an account, and the topics that are made there. One place for all clients."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """Brokers as HOST:PORT. `partitions` and `replicas` are of topics that are missing.

    With 0 partitions none is created; with 0 replicas there are as many as brokers, up to three.
    """

    brokers: tuple[str, ...]
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: str = field(default="", repr=False)
    partitions: int = 6
    replicas: int = 0

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that every client of aiokafka takes; raises OSError for files that cannot be read."""
        words = ("SASL" if self.username is not None else "", "SSL" if self.tls else "PLAINTEXT")
        arguments: dict[str, Any] = {
            "bootstrap_servers": list(self.brokers),
            "security_protocol": "_".join(word for word in words if word),
        }
        if self.tls:
            arguments["ssl_context"] = self.ssl_context()
        if self.username is not None:
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def ssl_context(self) -> ssl.SSLContext:
        """Return the context of a connection; raises OSError for files that cannot be read or are none."""
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context
