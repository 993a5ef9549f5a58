"""Paths of WHIP and WHEP: the parsed path equals the requested one, and cannot contain `..`."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from sfu.api.session_paths import Kind, SessionPath, parse

PATHS = {
    "/whip": SessionPath("whip", Kind.ENDPOINT),
    "/whep/room": SessionPath("whep", Kind.ENDPOINT, "room"),
    "/whip/room/s-1": SessionPath("whip", Kind.SESSION, "room", "s-1"),
    "/whep/room/s_1/layer": SessionPath("whep", Kind.LAYER, "room", "s_1"),
    "/whep/room/s_1/events": SessionPath("whep", Kind.EVENTS, "room", "s_1"),
    "/whep/room/s_1/events/key": SessionPath("whep", Kind.EVENT_STREAM, "room", "s_1", "key"),
}
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
SEPARATORS = ["/", "//", "..", ".", "%2f", "%2F", "%2e%2e", "%252e", "\\", "%5c", "%00", ";", "?", "#", "\n", "\u2215"]
WORDS = ["whip", "whep", "room", "events", "layer", "metrics", "node", "v1"]
HOSTILE = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(SEPARATORS + WORDS), max_size=12).map("".join))
BELOW = ["/", "rail", "/room/s/layer", "/room/s/events", "/room/s\n", "/" + "x" * 129, "//room", "/room/"]


@pytest.mark.parametrize("path", PATHS)
def test_what_there_is(path: str) -> None:
    assert parse(path) == PATHS[path]
    assert str(PATHS[path]) == path


@pytest.mark.parametrize(
    "path", ["", "/", "//whip", "/WHIP", "/whep/room/s/layer/key", *("/whip" + rest for rest in BELOW)]
)
def test_what_there_is_not(path: str) -> None:
    with pytest.raises(ValueError, match=r"WHIP|players|layer"):
        parse(path)


@given(HOSTILE, st.sampled_from(["", "/whip/", "/whep/"]))
def test_nothing_hostile_is_understood(rest: str, prefix: str) -> None:
    """A path that is understood stays itself however often it is decoded, and where a client library puts it."""
    raw = prefix + rest
    try:
        found = parse(raw)
    except ValueError:
        return
    assert str(found) == raw == unquote(raw)
    assert URL(f"http://node:1{found}").path == raw
    assert raw.split("/")[1] == found.role


@given(st.sampled_from(list(PATHS.values())), NAMES, NAMES, NAMES)
def test_a_path_survives_the_way_there_and_back(path: SessionPath, room: str, session: str, key: str) -> None:
    named = path._replace(room=path.room and room, session=path.session and session, key=path.key and key)
    assert parse(str(named)) == named
