"""Images of a meeting's broadcasts, which LiveKit's Egress API orders: hosts list, download and delete them."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from quart import Response

from control.api.paging import PageQuery, cut
from control.api.types import Answer, Done, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.http import file_response
from control.problem import not_found
from control.recordings.broadcasts import images_folder, images_path
from control.store import audit, egresses

endpoints = Endpoints("broadcast_images", scope="recordings")
_PATH = "/api/v1/meetings/<meeting>/broadcast/images/<output>"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,90}\.jpg")


class BroadcastImage(Answer, frozen=True, kw_only=True):
    """A JPEG image of `size` bytes; `url` is its path."""

    name: str
    url: str
    size: int
    created_at: Time


class BroadcastImages(Answer, frozen=True, kw_only=True):
    images: list[BroadcastImage]
    next: str | None


class ImagesQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the name. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    sort: Literal["name", "-name", "created_at", "-created_at"] = "name"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


@endpoints.route("GET", _PATH, Access.HOST, query=ImagesQuery, answer=BroadcastImages)
async def list_broadcast_images(call: Call, meeting: str, output: str, query: ImagesQuery) -> BroadcastImages:
    """Return the images that an output has stored."""
    folder = await _folder(call, meeting, output)
    images = [
        BroadcastImage(
            name=(name := found.key.removeprefix(folder)),
            url=f"{images_path(meeting, output)}/{name}",
            size=found.size,
            created_at=datetime.fromtimestamp(found.modified, UTC),
        )
        for found in await call.services.archive.objects.list(folder)
    ]
    page, following = cut(BroadcastImage, images, query, "name")
    return BroadcastImages(images=page, next=following)


@endpoints.route("GET", f"{_PATH}/<image>", Access.HOST, content_type="image/jpeg")
async def get_broadcast_image(call: Call, meeting: str, output: str, image: str) -> Response:
    """Return an image."""
    folder = await _folder(call, meeting, output)
    if not _NAME.fullmatch(image):
        raise not_found("There is no such image.")
    objects = call.services.archive.objects
    return await file_response.send(call.request, objects, folder + image, "image/jpeg", "private, no-cache")


@endpoints.route("DELETE", _PATH, Access.HOST, answer=Done)
async def delete_broadcast_images(call: Call, meeting: str, output: str) -> Done:
    """Delete the images that an output has stored so far."""
    folder = await _folder(call, meeting, output)
    await call.services.archive.objects.remove_all(folder)
    async with call.services.pool.acquire() as connection, connection.transaction():
        await audit.write(connection, call.actor, "broadcast_images.deleted", output, call.address, meeting=meeting)
    return Done()


async def _folder(call: Call, meeting: str, output: str) -> str:
    """Return the prefix of an output's images; raises Problem 404 if it has none."""
    async with call.services.pool.acquire() as connection:
        if not await egresses.images_of(connection, meeting, output):
            raise not_found("This meeting has no such images.")
    return images_folder(meeting, output)
