"""The targets of live egresses, as requests name them. Applications see addresses with their secrets redacted."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec
from livekit.protocol import egress as protocol
from livekit.protocol import models

from control.events.outgoing import check_url
from control.files.bucket_upload import Bucket, address_of, signed_url
from control.recordings import broadcasts as rules
from control.twirp.service import TwirpError
from foundation.broadcasts import ImageOptions, OutputKind

_MAX_URL = 1024
_SHOWN = 3
_PROTOCOLS: dict[int, OutputKind | None] = {
    protocol.StreamProtocol.DEFAULT_PROTOCOL: None,
    protocol.StreamProtocol.RTMP: "rtmp",
    protocol.StreamProtocol.SRT: "srt",
}
"""The kinds of output by protocol; None: by the URL."""
_SUFFIXES = {
    protocol.ImageFileSuffix.IMAGE_SUFFIX_INDEX: "index",
    protocol.ImageFileSuffix.IMAGE_SUFFIX_TIMESTAMP: "time",
    protocol.ImageFileSuffix.IMAGE_SUFFIX_NONE_OVERWRITE: "none",
}
_STORES = ("s3", "gcp", "azure", "aliOSS")
_UNUSED = ("metadata", "tagging", "proxy", "assume_role_arn", "assume_role_external_id")
_SECRETS = ("access_key", "secret", "session_token", "assume_role_external_id", "credentials", "account_key")
_MAX_KEY = 1024
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_PREFIX = 64


class Target(NamedTuple):
    """A target: `url` without its secrets, these as a key, and the address with the secrets redacted."""

    kind: OutputKind
    url: str = ""
    key: str = ""
    shown: str = ""
    images: ImageOptions | None = None


def address(text: str) -> Target:
    """Split a URL of the form rtmp[s]://host[:port]/application/key, or srt://host:port?streamid=…&passphrase=….

    Raises TwirpError, or Problem 400.
    """
    url = text.removesuffix(" live=1")
    path, question, query = url.partition("?")
    where, _, key = path.rpartition("/")
    if not key or len(url) > _MAX_URL:
        raise TwirpError("invalid_argument", "a stream's URL must have the form rtmps://host/application/key")
    if url.startswith("srt:"):
        plain, secrets = rules.split_srt(url, None, private=True)
        return Target("srt", plain, secrets, _redacted(path, query))
    key += question + query
    return Target("rtmp", where, key, f"{where}/{{{_ends(key)}}}")


def websocket(url: str, *, private: bool) -> Target:
    """Split the URL of a WebSocket server, ws[s]://host[:port]/path?query; the query is secret.

    Raises TwirpError, or Problem 400.
    """
    path, _, query = url.partition("?")
    scheme, _, rest = path.partition("://")
    if scheme not in {"ws", "wss"} or len(url) > _MAX_URL or "#" in url:
        raise TwirpError("invalid_argument", "websocket_url must have the form wss://host/path")
    check_url(f"{'https' if scheme == 'wss' else 'http'}://{rest}", private)
    return Target("websocket", path, query, _redacted(path, query))


def checked(urls: list[str], *, private: bool) -> list[Target]:
    """Return the targets at the URLs of streams; raises TwirpError, or Problem 400."""
    targets = [address(url) for url in dict.fromkeys(urls)]
    for target in targets:
        if target.kind == "srt":
            rules.split_srt(target.url, None, private=private)
        else:
            rules.check_target(target.url, private=private)
    return targets


def is_live(asked: Any) -> bool:
    """Return whether a request orders anything else than a file."""
    said = asked.WhichOneof("output") if "output" in asked.DESCRIPTOR.oneofs_by_name else None
    named = ("stream_outputs", "segment_outputs", "image_outputs")
    return said in ("stream", "segments", "websocket_url") or any(len(getattr(asked, name, ())) for name in named)


def targets_of(asked: Any, *, private: bool) -> list[Target]:
    """Return the targets that a request orders; raises TwirpError, or Problem 400."""
    said = asked.WhichOneof("output") if "output" in asked.DESCRIPTOR.oneofs_by_name else None
    streams = [*asked.stream_outputs, *([asked.stream] if said == "stream" else [])]
    segments = [*asked.segment_outputs, *([asked.segments] if said == "segments" else [])]
    if any(output.WhichOneof("output") is not None for output in [*segments, *asked.image_outputs]):
        raise TwirpError("unimplemented", "segments and images are written to Parley's own storage only")
    if any(output.protocol not in _PROTOCOLS or output.destinations for output in streams):
        raise TwirpError("unimplemented", "streams are sent by RTMP or SRT, to URLs")
    for output in streams:
        wanted = _PROTOCOLS[output.protocol]
        if wanted is not None and any(address(url).kind != wanted for url in output.urls):
            raise TwirpError("invalid_argument", "a stream's URL must be one of its protocol")
    found = checked([url for output in streams for url in output.urls], private=private)
    found += [Target("hls") for _ in segments]
    found += [Target("images", images=_images(output)) for output in asked.image_outputs]
    if not found:
        raise TwirpError("invalid_argument", "a stream needs a URL")
    return found


def bucket_of(output: Any, *, private: bool) -> Bucket | None:
    """Return the bucket to which a file is to be uploaded; None if it stays here. Raises TwirpError, or Problem 400."""
    named = [name for name in _STORES if output.HasField(name)]
    if not named:
        return None
    if named != ["s3"]:
        raise TwirpError("unimplemented", "files are uploaded to S3 and compatible stores only")
    asked = output.s3
    if used := [name for name in _UNUSED if name in {field.name for field, _ in asked.ListFields()}]:
        raise TwirpError("unimplemented", f"s3: {', '.join(used)} is not supported")
    if not (asked.access_key and asked.secret and asked.bucket):
        raise TwirpError("invalid_argument", "s3 needs access_key, secret and bucket")
    bucket = Bucket(
        bucket=asked.bucket,
        access_key=asked.access_key,
        secret=asked.secret,
        session_token=asked.session_token,
        endpoint=asked.endpoint,
        region=asked.region,
        path_style=asked.force_path_style,
        disposition=asked.content_disposition,
    )
    check_url(address_of(bucket), private)
    try:
        signed_url(bucket, "file")
    except ValueError as error:
        raise TwirpError("invalid_argument", f"s3: {error}") from error
    return bucket


def key_of(asked: Any, filepath: str, extension: str, room: str) -> str:
    """Return the key of an uploaded file: its path with the variables of templates replaced; raises TwirpError."""
    now = datetime.now(UTC)
    values = {
        "room_name": asked.room_name,
        "room_id": room,
        "time": now.strftime("%Y-%m-%dT%H%M%S"),
        "utc": now.strftime("%Y%m%d%H%M%S"),
    }
    path = filepath if filepath and not filepath.endswith("/") else f"{filepath}{{room_name}}-{{time}}"
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", _UNSAFE.sub("-", value) if name == "room_name" else value)
    path = path.lstrip("/")
    key = path if PurePosixPath(path).suffix == f".{extension}" else f"{path}.{extension}"
    strange = any(ord(letter) < 32 for letter in key) or {"", ".", ".."} & {*key.split("/")}
    if strange or len(key.encode()) > _MAX_KEY:
        raise TwirpError("invalid_argument", "filepath is not a valid key")
    return key


def _images(output: "protocol.ImageOutput") -> ImageOptions:
    """Return the options of images; raises TwirpError if they are invalid."""
    if output.image_codec not in (models.ImageCodec.IC_DEFAULT, models.ImageCodec.IC_JPEG):
        raise TwirpError("unimplemented", "images are JPEG")
    prefix = _UNSAFE.sub("-", PurePosixPath(output.filename_prefix).name)[:_MAX_PREFIX] or "image"
    options = {
        "seconds": output.capture_interval or ImageOptions().seconds,
        "width": output.width,
        "height": output.height,
        "prefix": prefix,
        "suffix": _SUFFIXES[output.filename_suffix],
    }
    try:
        return msgspec.convert(options, ImageOptions)
    except msgspec.ValidationError as error:
        raise TwirpError("invalid_argument", f"image_outputs: {error}") from error


def redacted(asked: Any) -> Any:
    """Return a copy of a request without secrets."""
    copy = type(asked)()
    copy.CopyFrom(asked)
    _hide(copy)
    if copy.DESCRIPTOR.fields_by_name.get("websocket_url") is not None and copy.websocket_url:
        path, _, query = copy.websocket_url.partition("?")
        copy.websocket_url = _redacted(path, query)
    if copy.DESCRIPTOR.fields_by_name.get("stream_outputs") is None:
        return copy
    said = copy.WhichOneof("output") if "output" in copy.DESCRIPTOR.oneofs_by_name else None
    for output in [*copy.stream_outputs, *([copy.stream] if said == "stream" else [])]:
        output.urls[:] = [address(url).shown for url in output.urls]
    return copy


def _hide(message: Any) -> None:
    """Replace the credentials of stores in a request, however deep, by their names in braces."""
    for field, value in message.ListFields():
        if field.name in _SECRETS and field.type == field.TYPE_STRING:
            setattr(message, field.name, f"{{{field.name}}}")
        elif field.type == field.TYPE_MESSAGE:
            parts = value if isinstance(value, Sequence) else [value]
            for part in parts:
                if hasattr(part, "ListFields"):
                    _hide(part)


def _redacted(path: str, query: str) -> str:
    return f"{path}?{{{_ends(query)}}}" if query else path


def _ends(secret: str) -> str:
    """Return the ends of a secret, by which its owner recognises it."""
    ends = min(_SHOWN, len(secret) // 3)
    return f"{secret[:ends]}...{secret[len(secret) - ends :]}"
