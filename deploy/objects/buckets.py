"""Buckets of others, with credentials for them, and the signed requests that put objects there.

The libraries of the stores sign; they connect to nothing. They take up to a second to load, and few servers need them.
Those of Google and Azure are extras.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit

import msgspec

MOST_BYTES = 5000 << 20
"""The largest object that each of the stores takes in one request (Azure: Put Blob)."""
_DEFAULT_REGION = "us-east-1"
_VALID = timedelta(hours=6)
_GOOGLE = "https://storage.googleapis.com"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class S3Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="s3"):
    """A bucket of S3 or a compatible store. Without an `endpoint`, it is one of Amazon's `region`."""

    bucket: str
    access_key: str
    secret: str
    session_token: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool = False
    disposition: str = ""

    def __repr__(self) -> str:
        return f"S3Bucket({self.bucket!r})"


class GoogleBucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="google"):
    """A bucket of Google Cloud Storage; `credentials` is the JSON of a service account's key."""

    bucket: str
    credentials: str
    endpoint: str = _GOOGLE

    def __repr__(self) -> str:
        return f"GoogleBucket({self.bucket!r})"


class AzureContainer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="azure"):
    """A container of Azure Blob Storage, with the account's key. Without an `endpoint`, it is in the public cloud."""

    account: str
    key: str
    container: str
    endpoint: str = ""

    def __repr__(self) -> str:
        return f"AzureContainer({self.container!r})"


Bucket: TypeAlias = S3Bucket | GoogleBucket | AzureContainer


class SignedPut(NamedTuple):
    """A request that puts an object; `url` is a secret for six hours."""

    url: str
    headers: dict[str, str]

    @property
    def location(self) -> str:
        """The object's URL, without the signature."""
        return self.url.partition("?")[0]


def address_of(bucket: Bucket) -> str:
    """Return the URL of a bucket's store."""
    match bucket:
        case S3Bucket():
            endpoint = bucket.endpoint or "s3.amazonaws.com"
        case GoogleBucket():
            endpoint = bucket.endpoint
        case AzureContainer():
            endpoint = bucket.endpoint or f"{bucket.account}.blob.core.windows.net"
    return (endpoint if "://" in endpoint else f"https://{endpoint}").rstrip("/")


def signed_put(bucket: Bucket, key: str) -> SignedPut:
    """Return the request that puts an object.

    Raises ValueError for names or credentials that are invalid, ImportError without the store's library.
    """
    match bucket:
        case S3Bucket():
            headers = {"Content-Disposition": bucket.disposition} if bucket.disposition else {}
            return SignedPut(_s3(bucket, key), headers)
        case GoogleBucket():
            return SignedPut(_google(bucket, key), {})
        case AzureContainer():
            return SignedPut(_azure(bucket, key), {"x-ms-blob-type": "BlockBlob"})


def _s3(bucket: S3Bucket, key: str) -> str:
    from minio import Minio  # noqa: PLC0415

    parts = urlsplit(address_of(bucket))
    client = Minio(
        parts.netloc,
        access_key=bucket.access_key,
        secret_key=bucket.secret,
        session_token=bucket.session_token or None,
        secure=parts.scheme == "https",
        region=bucket.region or _DEFAULT_REGION,  # a given region is not asked for over the network
    )
    if bucket.path_style:
        client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return client.presigned_put_object(bucket.bucket, key, _VALID)


def _google(bucket: GoogleBucket, key: str) -> str:
    from google.cloud import storage  # noqa: PLC0415
    from google.oauth2.service_account import Credentials  # noqa: PLC0415

    _check_name(bucket.bucket)
    try:
        account = msgspec.json.decode(bucket.credentials, type=dict[str, str])
        signer = Credentials.from_service_account_info(account)  # type: ignore[no-untyped-call]
    except ValueError:  # its text may contain part of the key
        raise ValueError("credentials must be the JSON of a service account's key") from None
    blob = storage.Client(project=bucket.bucket, credentials=signer).bucket(bucket.bucket).blob(key)
    url: str = blob.generate_signed_url(
        version="v4", expiration=_VALID, api_access_endpoint=address_of(bucket), method="PUT"
    )
    return url


def _azure(bucket: AzureContainer, key: str) -> str:
    from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415

    for name in (bucket.account, bucket.container):
        _check_name(name)
    try:
        signature = generate_blob_sas(
            bucket.account,
            bucket.container,
            key,
            account_key=bucket.key,
            permission=BlobSasPermissions(create=True, write=True),
            expiry=datetime.now(UTC) + _VALID,
        )
    except ValueError:  # its text may contain part of the key
        raise ValueError("account_key must be Base64") from None
    return f"{address_of(bucket)}/{quote(bucket.container)}/{quote(key)}?{signature}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:64]!r} is not a valid name")
