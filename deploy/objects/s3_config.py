"""Location of an S3-compatible store: plain values, without its client, which takes a while to load."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """Location of the store. `endpoint` is http(s)://host[:port]; `public_endpoint` is its public address.

    `ca_file` contains the authority that signed the store's certificate; None: the system's authorities.
    """

    endpoint: str
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    public_endpoint: str | None = None
    ca_file: Path | None = None
    encryption: str = "none"
    """The encryption that the store applies to new objects: none, sse-s3, or sse-kms with `kms_key`."""
    kms_key: str | None = None

    def __post_init__(self) -> None:
        for endpoint in (self.endpoint, self.public_endpoint or self.endpoint):
            parts = urlsplit(endpoint)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
                raise ValueError(f"{endpoint!r} is not http(s)://host[:port]")
        if (self.encryption == "sse-kms") != bool(self.kms_key):
            raise ValueError("sse-kms and the id of a KMS key belong together")
        if self.kms_key and not self.endpoint.startswith("https://"):
            raise ValueError("sse-kms needs a store with https")
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError(f"{self.bucket!r} is not a valid bucket name")
