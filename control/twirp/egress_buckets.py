"""Buckets to which egresses upload, and the keys of their objects there, as requests name them."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from control.events.outgoing import check_url
from control.twirp.service import TwirpError
from objects.buckets import AzureContainer, Bucket, GoogleBucket, S3Bucket, address_of, signed_put

_UNUSED = ("metadata", "tagging", "proxy", "assume_role_arn", "assume_role_external_id")
_MAX_KEY = 1024
_MAX_CREDENTIALS = 8192
_MAX_NAME = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class Destination(NamedTuple):
    """A bucket, and the URL to which keys are added."""

    bucket: Bucket
    url: str


async def destination(output: Any, *, private: bool) -> Destination | None:
    """Return the bucket of an output; None if it stays here. Raises TwirpError, or Problem 400."""
    named = next((name for name in _STORES if output.HasField(name)), None)
    if named is None:
        return None
    asked = getattr(output, named)
    if used := [name for name in _UNUSED if name in {field.name for field, _ in asked.ListFields()}]:
        raise TwirpError("unimplemented", f"{named}: {', '.join(used)} is not supported")
    bucket = _STORES[named](asked)
    check_url(address_of(bucket), private)
    try:
        put = await asyncio.to_thread(signed_put, bucket, "file")
    except ValueError as error:
        raise TwirpError("invalid_argument", f"{named}: {error}") from error
    except ImportError as error:
        raise TwirpError("unimplemented", f"{named}: this server was installed without the store's library") from error
    return Destination(bucket, put.location.removesuffix("file"))


def _s3(asked: Any) -> S3Bucket:
    _require("s3", asked, "access_key", "secret", "bucket")
    return S3Bucket(
        bucket=asked.bucket,
        access_key=asked.access_key,
        secret=asked.secret,
        session_token=asked.session_token,
        endpoint=asked.endpoint,
        region=asked.region,
        path_style=asked.force_path_style,
        disposition=asked.content_disposition,
    )


def _alibaba(asked: Any) -> S3Bucket:
    """Return a bucket of Alibaba's OSS, which speaks S3's protocol."""
    _require("aliOSS", asked, "access_key", "secret", "bucket")
    region = asked.region.removeprefix("oss-")
    if not (asked.endpoint or _REGION.fullmatch(region)):
        raise TwirpError("invalid_argument", "aliOSS needs endpoint or region")
    return S3Bucket(
        bucket=asked.bucket,
        access_key=asked.access_key,
        secret=asked.secret,
        endpoint=asked.endpoint or f"oss-{region}.aliyuncs.com",
        region=region,
    )


def _google(asked: Any) -> GoogleBucket:
    _require("gcp", asked, "credentials", "bucket")
    return GoogleBucket(bucket=asked.bucket, credentials=asked.credentials)


def _azure(asked: Any) -> AzureContainer:
    _require("azure", asked, "account_name", "account_key", "container_name")
    return AzureContainer(account=asked.account_name, key=asked.account_key, container=asked.container_name)


_STORES: dict[str, Callable[[Any], Bucket]] = {"s3": _s3, "gcp": _google, "azure": _azure, "aliOSS": _alibaba}


def _require(store: str, asked: Any, *names: str) -> None:
    if not all(getattr(asked, name) for name in names):
        raise TwirpError("invalid_argument", f"{store} needs {', '.join(names[:-1])} and {names[-1]}")
    if any(len(getattr(asked, name)) > _MAX_CREDENTIALS for name in names):
        raise TwirpError("invalid_argument", f"{store}: a value is too long")


def key_of(asked: Any, filepath: str, extension: str, room: str) -> str:
    """Return the key of an uploaded file: its path with the variables of templates replaced; raises TwirpError."""
    path = path_of(asked, filepath, room)
    key = path if PurePosixPath(path).suffix == f".{extension}" else f"{path}.{extension}"
    return _valid(key, "filepath")


def path_of(asked: Any, path: str, room: str) -> str:
    """Return a path with the variables of templates replaced; one that ends with a slash gets a name."""
    now = datetime.now(UTC)
    values = {
        "room_name": asked.room_name,
        "room_id": room,
        "time": now.strftime("%Y-%m-%dT%H%M%S"),
        "utc": now.strftime("%Y%m%d%H%M%S"),
    }
    path = path if path and not path.endswith("/") else f"{path}{{room_name}}-{{time}}"
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", _UNSAFE.sub("-", value) if name == "room_name" else value)
    return path.lstrip("/")


def split(path: str, named: str) -> tuple[str, str]:
    """Return a path's folder, with its slash or "", and its last part as a name; raises TwirpError if it is invalid."""
    folder, slash, name = _valid(path, named).rpartition("/")
    return folder + slash, name_of(name)


def name_of(text: str) -> str:
    """Return a name of letters, digits, _ and - for objects."""
    return _UNSAFE.sub("-", text)[:_MAX_NAME]


def _valid(key: str, named: str) -> str:
    strange = any(ord(letter) < 32 for letter in key) or {"", ".", ".."} & {*key.split("/")}
    if strange or len(key.encode()) > _MAX_KEY:
        raise TwirpError("invalid_argument", f"{named} is not a valid key")
    return key
