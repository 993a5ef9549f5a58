"""The views that the outputs of a broadcast need. Outputs with the same picture share one. Pure."""

import hashlib

import msgspec

from foundation.broadcasts import BroadcastOrders, ImageOptions, OutputOrder
from foundation.film_options import FilmOptions
from recorder.broadcast.contract import Images, View, Views


def source(order: OutputOrder) -> str:
    """Return the identifier of the units that an output delivers: its view's, or for images its own."""
    return order.id if order.kind == "images" else _name(order.view.film)


def ordered_views(orders: BroadcastOrders) -> Views:
    """Return the views to make."""
    of: dict[str, list[OutputOrder]] = {}
    for order in orders.outputs:
        of.setdefault(_name(order.view.film), []).append(order)
    return Views(views=tuple(_view(name, orders, outputs) for name, outputs in of.items()))


def _view(name: str, orders: BroadcastOrders, outputs: list[OutputOrder]) -> View:
    kinds = {output.kind for output in outputs}
    return View(
        name=name,
        film=outputs[0].view.film or orders.film,
        bits=orders.bits,
        encoded=bool(kinds - {"images", "websocket"}),
        pcm="websocket" in kinds,
        images=tuple(_images(output) for output in outputs if output.kind == "images"),
    )


def _images(output: OutputOrder) -> Images:
    options = output.view.images or ImageOptions()
    return Images(name=output.id, seconds=options.seconds, width=options.width, height=options.height)


def _name(film: FilmOptions | None) -> str:
    """Return the name of a view; the broadcast's own picture has the name "main"."""
    return "main" if film is None else hashlib.sha256(msgspec.json.encode(film)).hexdigest()[:16]
