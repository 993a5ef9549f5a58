"""Breakout rooms in the host's panel: people are moved by drag, by a long press, and by keyboard."""

from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from sfu.api.join_token import Grants
from tests.web.page_stage import PHONE, act, enter, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def open_board(view: Page, server: ScriptedServer) -> list[Any]:
    """Open the panel with two rooms, of which the first has Grace and Linus; return the moves asked for."""
    places: dict[str, str | None] = {"p1": None, "p2": "b1", "p3": "b1"}
    names = {"p1": "Ada", "p2": "Grace Hopper", "p3": "Linus"}
    moves: list[Any] = []

    def listed(_request: Any) -> tuple[int, Any]:
        rooms = [
            {"id": room, "title": title, "closes_at": None, "present": list(places.values()).count(room),
             "participants": [one for one in places if places[one] == room]}
            for room, title in (("b1", "Room 1"), ("b2", "Room 2"))
        ]  # fmt: skip
        people = [{"id": one, "name": names[one], "room": places[one], "here": True} for one in places]
        state = {
            "rooms": rooms, "people": people, "open": True, "place": None, "may_choose": False, "may_return": True,
            "minutes": 20, "ends_at": "2026-07-01T12:20:00Z",
        }  # fmt: skip
        return 200, state

    def moved(_request: Any) -> tuple[int, Any]:
        moves.append(server.requests[-1][2])
        places[moves[-1]["participant"]] = moves[-1]["room"]
        return 200, {}

    server.answers["GET", "/meetings/m1/breakouts"] = listed
    server.answers["POST", "/meetings/m1/breakouts/move"] = moved
    await enter(view, server, grants=Grants(host=True))
    await act(view, "people")
    await expect(room(view, "Room 1").locator("[data-person]")).to_have_count(2)
    return moves


def room(view: Page, title: str) -> Locator:
    return view.locator(f"[data-breakout='{title}']")


async def middle(element: Locator) -> tuple[float, float]:
    await element.scroll_into_view_if_needed()
    box = await element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def test_people_are_dragged_to_a_room_or_sent_by_keyboard(view: Page, server: ScriptedServer) -> None:
    moves = await open_board(view, server)
    await expect(view.get_by_text("The rooms close at")).to_be_visible()
    linus = view.locator("[data-person=p3]")
    message = view.get_by_label("Message to all rooms")
    await message.fill("Two minutes")
    target = await middle(room(view, "Room 2"))
    await view.mouse.move(*await middle(linus))
    await view.mouse.down()
    await view.mouse.move(*target, steps=5)
    await expect(room(view, "Room 2")).to_have_class("breakout-room target")
    await view.keyboard.press("Escape")
    await view.mouse.up()
    assert moves == []
    await view.mouse.move(*await middle(linus))
    await view.mouse.down()
    await view.mouse.move(*target, steps=5)
    await view.mouse.up()
    await expect(room(view, "Room 2").locator("[data-person=p3]")).to_be_visible()
    # What is being written survives the change.
    await expect(message).to_have_value("Two minutes")
    await linus.get_by_role("button", name="Move Linus").press("Enter")
    await view.keyboard.press("Enter")
    await expect(room(view, "Main room").locator("[data-person=p3]")).to_be_visible()
    await expect(linus.get_by_role("button", name="Move Linus")).to_be_focused()
    assert moves == [{"participant": "p3", "room": "b2"}, {"participant": "p3", "room": None}]


@pytest.mark.parametrize("view", [PHONE], ids=["phone"], indirect=True)
async def test_a_finger_drags_after_a_long_press(view: Page, server: ScriptedServer) -> None:
    moves = await open_board(view, server)
    grace, finger = view.locator("[data-person=p2]"), await view.context.new_cdp_session(view)

    async def touch(kind: str, *points: tuple[float, float]) -> None:
        await finger.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        )

    x, y = await middle(grace)
    await touch("touchStart", (x, y))
    await expect(grace).to_have_class("breakout-person dragged")
    left, top = await middle(room(view, "Room 2"))
    await touch("touchMove", (x, y + 10))
    await touch("touchMove", (left, top))
    await expect(room(view, "Room 2")).to_have_class("breakout-room target")
    await touch("touchEnd")
    await expect(room(view, "Room 2").locator("[data-person=p2]")).to_be_visible()
    assert moves == [{"participant": "p2", "room": "b2"}]
