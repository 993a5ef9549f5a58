"""The targets of live egresses, as requests name them. Applications see addresses with their secrets redacted."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeVar

import msgspec
from livekit.protocol import egress as protocol
from livekit.protocol import models

from control.events.outgoing import check_url
from control.recordings import broadcasts as rules
from control.store.broadcasts import MOST_OUTPUTS
from control.twirp import egress_buckets
from control.twirp.egress_buckets import Destination
from control.twirp.service import TwirpError
from foundation.broadcasts import ImageOptions, OutputKind, OutputView, SegmentOptions

_MAX_URL = 1024
_SHOWN = 3
_Options = TypeVar("_Options", ImageOptions, SegmentOptions)
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
_SECRETS = ("access_key", "secret", "session_token", "assume_role_external_id", "credentials", "account_key")


class Target(NamedTuple):
    """A target: `url` without its secrets, these as a key, and the address with the secrets redacted.

    `view` has the options of images and segments. For those in a bucket, which is the key, `shown` is the URL to which
    their keys are added.
    """

    kind: OutputKind
    url: str = ""
    key: str = ""
    shown: str = ""
    view: OutputView = OutputView()


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


async def targets_of(asked: Any, room: str, *, private: bool) -> list[Target]:
    """Return the targets that a request orders for a room (its sid); raises TwirpError, or Problem 400."""
    said = asked.WhichOneof("output") if "output" in asked.DESCRIPTOR.oneofs_by_name else None
    streams = [*asked.stream_outputs, *([asked.stream] if said == "stream" else [])]
    segments = [*asked.segment_outputs, *([asked.segments] if said == "segments" else [])]
    if sum(len(output.urls) for output in streams) + len(segments) + len(asked.image_outputs) > MOST_OUTPUTS:
        raise TwirpError("resource_exhausted", f"a meeting can have {MOST_OUTPUTS} outputs")
    found = _streams(streams, private=private)
    for output in segments:
        where = await egress_buckets.destination(output, private=private)
        found.append(Target("hls") if where is None else _to_bucket("hls", where, _segments(asked, output, room)))
    for output in asked.image_outputs:
        where = await egress_buckets.destination(output, private=private)
        if where is None:
            name = PurePosixPath(output.filename_prefix).name
            found.append(Target("images", view=OutputView(images=_images(output, name))))
        else:
            path = egress_buckets.path_of(asked, output.filename_prefix, room)
            folder, name = egress_buckets.split(path, "filename_prefix")
            found.append(_to_bucket("images", where, OutputView(images=_images(output, name), folder=folder)))
    if not found:
        raise TwirpError("invalid_argument", "a stream needs a URL")
    return found


def _streams(outputs: "Sequence[protocol.StreamOutput]", *, private: bool) -> list[Target]:
    if any(output.protocol not in _PROTOCOLS or output.destinations for output in outputs):
        raise TwirpError("unimplemented", "streams are sent by RTMP or SRT, to URLs")
    for output in outputs:
        wanted = _PROTOCOLS[output.protocol]
        if wanted is not None and any(address(url).kind != wanted for url in output.urls):
            raise TwirpError("invalid_argument", "a stream's URL must be one of its protocol")
    return checked([url for output in outputs for url in output.urls], private=private)


def _to_bucket(kind: OutputKind, where: Destination, view: OutputView) -> Target:
    return Target(kind, key=msgspec.json.encode(where.bucket).decode(), shown=where.url, view=view)


def _segments(asked: Any, output: "protocol.SegmentedFileOutput", room: str) -> OutputView:
    """Return the view of segments in a bucket, beside their playlists; raises TwirpError if the options are invalid."""
    beside, slash, _ = output.playlist_name.rpartition("/")
    path = output.filename_prefix or output.playlist_name.removesuffix(".m3u8")
    if "/" not in path:
        path = f"{beside}{slash}{path}"
    folder, prefix = egress_buckets.split(egress_buckets.path_of(asked, path, room), "filename_prefix")

    def name(text: str) -> str:
        last = text.rpartition("/")[2].removesuffix(".m3u8")
        return egress_buckets.name_of(egress_buckets.path_of(asked, last, room)) if last else ""

    options = {
        "prefix": prefix,
        "playlist": name(output.playlist_name) or prefix,
        "live_playlist": name(output.live_playlist_name),
        "seconds": output.segment_duration or 4,
        "suffix": "time" if output.filename_suffix == protocol.SegmentedFileSuffix.TIMESTAMP else "index",
    }
    if options["playlist"] == options["live_playlist"]:
        raise TwirpError("invalid_argument", "segment_outputs: the playlists need different names")
    return OutputView(segments=_converted(options, SegmentOptions, "segment_outputs"), folder=folder)


def _images(output: "protocol.ImageOutput", name: str) -> ImageOptions:
    """Return the options of images with names that begin with `name`; raises TwirpError if they are invalid."""
    if output.image_codec not in (models.ImageCodec.IC_DEFAULT, models.ImageCodec.IC_JPEG):
        raise TwirpError("unimplemented", "images are JPEG")
    options = {
        "seconds": output.capture_interval or ImageOptions().seconds,
        "width": output.width,
        "height": output.height,
        "prefix": egress_buckets.name_of(name) or "image",
        "suffix": _SUFFIXES[output.filename_suffix],
    }
    return _converted(options, ImageOptions, "image_outputs")


def _converted(options: dict[str, Any], kind: type[_Options], named: str) -> _Options:
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        raise TwirpError("invalid_argument", f"{named}: {error}") from error


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
