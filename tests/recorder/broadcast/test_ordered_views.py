"""Outputs with the same picture share a view, and each view is made in the forms that its outputs need."""

from foundation.broadcasts import BroadcastOrders, ImageOptions, OutputOrder, OutputView
from foundation.film_options import FilmOptions
from recorder.broadcast.contract import Images
from recorder.broadcast.ordered_views import ordered_views, source

ADA = OutputView(film=FilmOptions(layout="single", participant="ada"))
STILLS = OutputView(images=ImageOptions(seconds=5, width=640))


def test_outputs_share_views_by_their_pictures() -> None:
    orders = BroadcastOrders(
        held=True,
        film=FilmOptions(layout="speaker"),
        outputs=[
            OutputOrder(id="a", kind="rtmp"),
            OutputOrder(id="b", kind="images", view=STILLS),
            OutputOrder(id="c", kind="hls", view=ADA),
            OutputOrder(id="d", kind="srt", view=ADA),
            OutputOrder(id="e", kind="websocket", view=OutputView(film=FilmOptions(tracks=["t"]))),
        ],
    )
    main, ada, sound = ordered_views(orders).views
    assert (main.film.layout, main.encoded, main.pcm) == ("speaker", True, False)
    assert main.images == (Images(name="b", seconds=5, width=640, height=0),)
    assert (ada.film.participant, ada.encoded, ada.images) == ("ada", True, ())
    assert (sound.film.tracks, sound.encoded, sound.pcm) == (["t"], False, True)
    assert [source(order) for order in orders.outputs] == ["main", "b", ada.name, ada.name, sound.name]
