"""Watching a recording: it is found, watched, read, searched and shared."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.web.page_stage import CAPTIONS, RECORDING, STORAGE, USER, at_both_sizes, fits, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
FILM = {"state": "done", "progress": 1.0, "file": "composed-1.mp4", "bytes": 1_000_000, "error": None}
CHAPTERS = [{"start_ms": 0, "title": "Ada joins"}, {"start_ms": 30_000, "title": "Grace shares a screen"}]


def prepare(server: ScriptedServer, path: str) -> None:
    detail: dict[str, Any] = {"recording": RECORDING, "tracks": [], "composition": FILM | {"chapters": CHAPTERS}}
    server.answers["GET", path] = (200, detail)
    server.answers["GET", f"{path}/films"] = (200, {"films": []})
    server.answers["GET", f"{path}/captions"] = (200, {"captions": CAPTIONS})


def timed(caption: dict[str, Any]) -> dict[str, Any]:
    """A caption whose words take half a second each."""
    texts = re.findall(r"\s*\S+", caption["text"])
    starts = [caption["start_ms"] + 500 * index for index in range(len(texts))]
    words = [{"text": text, "start_ms": at, "end_ms": at + 500} for text, at in zip(texts, starts, strict=True)]
    return caption | {"words": words}


async def place(view: Page) -> float:
    found: float = await view.evaluate("document.querySelector('video').currentTime")
    return found


@at_both_sizes
async def test_a_sentence_is_found_and_shared(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["GET", "/recordings"] = (200, {"recordings": [RECORDING], "storage": STORAGE})
    prepare(server, "/recordings/r1")
    links: list[Any] = []

    def share(_request: Any) -> tuple[int, Any]:
        links.append(
            {
                "id": "l1",
                "expires_at": "2026-12-01T10:00:00Z",
                "url": "/api/v1/shared/secret",
                "passcode_required": True,
                "domains": ["example.org"],
            }
        )
        assert server.requests[-1][2] == {"days": 7, "passcode": "melon 42", "domains": ["example.org"]}
        return 201, links[0]

    server.answers["POST", "/recordings/r1/links"] = share
    server.answers["GET", "/recordings/r1/links"] = lambda _request: (200, {"links": links})
    await view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await view.goto(f"{server.url}/recordings")
    await view.get_by_role("link", name="Design review").click()
    await expect(view.locator(".spoken-line")).to_have_count(4)
    await expect(view.locator(".lane-name")).to_have_text(["Ada", "Grace Hopper"])
    await fits(view)
    search = view.get_by_label("Search the transcript")
    await search.fill("BUDGET")
    await expect(view.locator(".spoken-line:visible")).to_have_count(2)
    await expect(view.locator("mark")).to_have_text(["budget", "budget"])
    assert await view.locator(".transcript b").count() == 0
    await search.press("Enter")
    await search.press("Enter")
    assert await place(view) == 40
    await view.get_by_role("button", name="Grace shares a screen").click()
    assert await place(view) == 30
    await view.get_by_role("button", name="Share", exact=True).click()
    await view.get_by_label("Start at 0:30").check()
    await view.get_by_label("Passcode").fill("melon 42")
    await view.get_by_label("Allowed domains").fill("@example.org")
    await view.get_by_role("button", name="Copy a new link").click()
    await expect(view.locator("dialog .link-list li")).to_contain_text("with a passcode · for example.org")
    assert await view.evaluate("navigator.clipboard.readText()") == f"{server.url}/s/secret#t=30"


@at_both_sizes
async def test_the_timeline_shows_the_picture_of_a_time(view: Page, server: ScriptedServer, tmp_path: Path) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    prepare(server, "/recordings/r1")
    server.answers["GET", "/recordings/r1"][1]["composition"]["storyboard"] = "composed-1.vtt"
    sheet = Image.new("RGB", (320, 90), "red")
    sheet.paste("blue", (160, 0, 320, 90))
    sheet.save(tmp_path / "composed-1.jpg")
    cues = ["00:00:00.000 --> 00:00:20.000\ncomposed-1.jpg#xywh=0,0,160,90"]
    cues.append("00:00:20.000 --> 00:01:01.000\ncomposed-1.jpg#xywh=160,0,160,90")
    (tmp_path / "composed-1.vtt").write_text("\n\n".join(["WEBVTT", *cues]) + "\n")
    for name in ("composed-1.jpg", "composed-1.vtt"):
        server.extra[f"/api/v1/recordings/r1/files/{name}"] = tmp_path / name
    await view.goto(f"{server.url}/recordings/r1")
    slider = view.get_by_role("slider", name="Playback position")
    preview, picture = view.locator(".timeline-preview"), view.locator(".storyboard")
    await slider.scroll_into_view_if_needed()
    box = await slider.bounding_box()
    assert box is not None
    await slider.hover(position={"x": box["width"] * 0.75, "y": 4})
    await expect(preview).to_have_text(re.compile(r"0:45Grace shares a screen"))
    await expect(picture).to_have_css("background-position", "-160px 0px")
    await expect(picture).to_have_css("background-image", re.compile(r"/recordings/r1/files/composed-1\.jpg"))
    await fits(view)
    assert await place(view) == 0
    await slider.click(position={"x": 1, "y": 4})
    await slider.press("PageUp")
    await slider.press("ArrowLeft")
    assert 25 <= await place(view) < 26
    await expect(preview).to_contain_text("0:25")
    await expect(slider).to_have_attribute("aria-valuetext", "0:25 of 1:01")
    await slider.press("Home")
    await expect(picture).to_have_css("background-position", "0px 0px")
    await slider.press("Escape")
    await expect(preview).to_be_hidden()


async def test_a_line_is_edited_and_an_earlier_text_is_restored(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    prepare(server, "/recordings/r1")
    said = {"version": 0, "text": CAPTIONS[0]["text"], "written_by": None, "written_at": "2026-11-25T10:00:00Z"}
    versions = [said]

    def save(_request: Any) -> tuple[int, Any]:
        text = server.requests[-1][2]["text"]
        versions.insert(0, said | {"version": len(versions), "text": text, "written_by": "Ada"})
        return 200, {"versions": versions}

    server.answers["PUT", "/recordings/r1/captions/u1000"] = save
    server.answers["GET", "/recordings/r1/captions/u1000/versions"] = lambda _request: (200, {"versions": versions})
    await view.goto(f"{server.url}/recordings/r1")
    await expect(view.get_by_role("link", name="SRT")).to_have_attribute(
        "href", "/api/v1/recordings/r1/transcript?format=srt"
    )
    edit = view.get_by_role("button", name="Edit the line at 0:01")
    await edit.click()
    await view.get_by_label("Text", exact=True).fill("Shall we begin?")
    await view.get_by_role("button", name="Save").click()
    line = view.locator(".spoken-line").first
    await expect(line).to_contain_text("Shall we begin?")
    await edit.click()
    await expect(view.get_by_label("Earlier texts")).to_contain_text("as recognised")
    await view.get_by_role("button", name="Restore").click()
    await expect(line).to_contain_text("Shall we begin with the budget?")


async def test_a_word_is_found_in_the_video(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    prepare(server, "/recordings/r1")
    server.answers["GET", "/recordings/r1/captions"] = (200, {"captions": [timed(one) for one in CAPTIONS]})
    await view.goto(f"{server.url}/recordings/r1")
    line = view.locator(".spoken-line").last
    await expect(line).to_contain_text("The budget holds, I think: <b>twice</b> as much")
    await line.get_by_text("twice").click()
    assert await place(view) == 42.5
    await view.locator("video").dispatch_event("timeupdate")
    await expect(view.locator(".spoken-now")).to_have_text("<b>twice</b>")


async def test_a_transcript_is_translated_as_it_is_read(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    server.answers["GET", "/ai/analysis"] = (200, {"translation": ["de", "en"]})
    prepare(server, "/recordings/r1")
    spoken = [line | {"lang": "en"} for line in CAPTIONS]
    server.answers["GET", "/recordings/r1/captions"] = (200, {"captions": spoken})

    def translate(_request: Any) -> tuple[int, Any]:
        asked = server.requests[-1][2]
        return 200, {"captions": [{"utterance": one, "text": f"Zeile {one}"} for one in asked["utterances"]]}

    server.answers["POST", f"/meetings/{RECORDING['meeting']}/captions/translate"] = translate
    await view.goto(f"{server.url}/recordings/r1")
    line = view.locator(".spoken-line").first
    await expect(line).to_contain_text("Shall we begin with the budget?")
    await view.get_by_label("Translate captions to").select_option("German")
    await expect(line).to_contain_text("Zeile u1000")
    await view.reload()
    await expect(line).to_contain_text("Zeile u1000")  # remembered
    await view.get_by_label("Translate captions to").select_option("Do not translate")
    await expect(line).to_contain_text("Shall we begin with the budget?")
    await fits(view)


async def test_a_clip_is_cut_and_followed_until_it_is_made(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    prepare(server, "/recordings/r1")
    made: list[Any] = []

    def cut(_request: Any) -> tuple[int, Any]:
        made.append(FILM | {"id": "f1", "state": "running", "progress": 0.5, "file": None})
        made[0]["options"] = server.requests[-1][2]
        return 202, made[0]

    server.answers["POST", "/recordings/r1/films"] = cut
    server.answers["GET", "/recordings/r1/films"] = lambda _request: (200, {"films": made})
    await view.goto(f"{server.url}/recordings/r1")
    await view.locator(".spoken-line").last.click()
    await view.get_by_role("button", name="Clip", exact=True).click()
    await expect(view.get_by_label("From")).to_have_value("0:40")
    await view.get_by_label("To", exact=True).fill("0:30")
    await view.get_by_role("button", name="Create clip").click()
    await expect(view.get_by_role("alert").last).to_contain_text("within the recording (1:01)")
    await view.get_by_label("To", exact=True).fill("2:00")
    await view.get_by_role("button", name="Create clip").click()
    clip = view.locator("[data-film=f1]")
    await expect(clip).to_contain_text("0:40–1:01 Creating the video: 50%")
    assert made[0]["options"] == {"ranges": [[40_000, 61_000]]}
    made[0] |= {"state": "done", "progress": 1.0, "file": "film-f1-1.mp4"}
    await expect(clip.get_by_role("link")).to_have_attribute(
        "href", "/api/v1/recordings/r1/files/film-f1-1.mp4?download"
    )
    await view.evaluate("document.querySelector('.watch-columns video').pause = () => (window.paused = true)")
    await clip.get_by_role("button", name="Play 0:40–1:01").press("Enter")
    player = view.get_by_role("dialog", name="0:40–1:01")
    await expect(player.locator("video")).to_have_attribute("src", "/api/v1/recordings/r1/files/film-f1-1.mp4")
    assert await view.evaluate("window.paused")
    await view.keyboard.press("Escape")
    await expect(player).to_have_count(0)
    await expect(clip.get_by_role("button", name="Play 0:40–1:01")).to_be_focused()


async def test_who_has_the_link_watches_without_an_account(view: Page, server: ScriptedServer) -> None:
    prepare(server, "/shared/secret")
    await view.goto(f"{server.url}/s/secret")
    await expect(view.get_by_role("heading", name="Design review")).to_be_visible()
    await expect(view.locator("video")).to_have_attribute("src", "/api/v1/shared/secret/files/composed-1.mp4")
    await expect(view.get_by_role("button", name="Delete")).to_have_count(0)
    await view.locator(".spoken-line").last.click()
    assert await place(view) == 40


async def test_who_has_an_address_of_the_domain_opens_the_link_with_a_mailed_code(
    view: Page, server: ScriptedServer
) -> None:
    prepare(server, "/shared/secret")
    opened = server.answers["GET", "/shared/secret"]
    refusal = {"code": "link_address_required", "detail": "This link requires an e-mail address of example.org."}
    server.answers["GET", "/shared/secret"] = (403, refusal)
    server.answers["POST", "/shared/secret/code"] = (202, {"ok": True})

    def give(_request: Any) -> tuple[int, Any]:
        assert server.requests[-1][2] == {"address": "grace@example.org", "code": "12345678"}
        server.answers["GET", "/shared/secret"] = opened
        return 200, {"ok": True}

    server.answers["POST", "/shared/secret/open"] = give
    await view.goto(f"{server.url}/s/secret")
    await expect(view.get_by_text("of example.org")).to_be_visible()
    await view.get_by_label("Your e-mail address").fill("grace@example.org")
    await view.get_by_role("button", name="Send a code").click()
    await expect(view.get_by_text("We sent a code to grace@example.org")).to_be_visible()
    await view.get_by_label("Code from the e-mail").fill("12345678")
    await view.get_by_role("button", name="Open").click()
    await expect(view.get_by_role("heading", name="Design review")).to_be_visible()


@at_both_sizes
async def test_a_clip_has_a_page_of_its_own(view: Page, server: ScriptedServer, tmp_path: Path) -> None:
    prepare(server, "/shared/secret")
    shown = server.answers["GET", "/shared/secret"][1]
    shown.update(clip=True, expires_at="2030-01-02T09:00:00Z", composition=FILM | {"storyboard": "film-1.vtt"})
    (tmp_path / "film-1.vtt").write_text("WEBVTT\n\n00:00:00.000 --> 00:01:01.000\nfilm-1.jpg#xywh=160,0,160,90\n")
    server.extra["/api/v1/shared/secret/files/film-1.vtt"] = tmp_path / "film-1.vtt"
    await view.goto(f"{server.url}/s/secret")
    await expect(view.get_by_role("heading", name="Design review")).to_be_visible()
    await expect(view.locator("main")).to_contain_text("This link works until")
    await expect(view.get_by_role("searchbox")).to_have_count(0)
    await view.locator(".clip-line").last.click()
    assert await place(view) == 40
    slider = view.get_by_role("slider", name="Playback position")
    await slider.press("PageDown")
    assert 10 <= await place(view) < 11
    await expect(view.locator(".storyboard")).to_have_css("background-position", "-160px 0px")
    await fits(view)


async def test_a_link_asks_for_its_passcode(view: Page, server: ScriptedServer) -> None:
    prepare(server, "/shared/secret")
    shown = server.answers["GET", "/shared/secret"]
    server.answers["GET", "/shared/secret"] = (403, {"code": "link_passcode_required", "detail": "A passcode."})

    def open_it(_request: Any) -> tuple[int, Any]:
        if server.requests[-1][2] != {"passcode": "melon 42"}:
            return 403, {"code": "wrong_link_passcode", "detail": "The passcode is wrong."}
        server.answers["GET", "/shared/secret"] = shown
        return 200, {}

    server.answers["POST", "/shared/secret/open"] = open_it
    await view.goto(f"{server.url}/s/secret")
    await view.get_by_label("Passcode").fill("melon")
    await view.get_by_role("button", name="Open").click()
    await expect(view.get_by_role("alert").last).to_contain_text("The passcode is wrong.")
    await expect(view.locator("video")).to_have_count(0)
    await view.get_by_label("Passcode").fill("melon 42")
    await view.get_by_label("Passcode").press("Enter")
    await expect(view.locator("video")).to_be_visible()


async def test_a_recording_on_hold_cannot_be_deleted(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/users/profile"] = (200, USER)
    server.answers["GET", "/csrf-token"] = (200, {"csrf_token": "t"})
    prepare(server, "/recordings/r1")

    def hold(_request: Any) -> tuple[int, Any]:
        held = RECORDING | {"held": True, "deleted_at": None}
        server.answers["GET", "/recordings/r1"][1]["recording"] = held
        return 200, held

    server.answers["PUT", "/recordings/r1/hold"] = hold
    await view.goto(f"{server.url}/recordings/r1")
    await expect(view.locator(".watch-head")).to_contain_text("Deleted automatically on Dec 25")
    await view.get_by_role("button", name="Hold", exact=True).click()
    await expect(view.locator(".watch-head")).to_contain_text("On legal hold")
    await expect(view.get_by_role("button", name="Delete", exact=True)).to_have_count(0)
    await expect(view.get_by_role("button", name="Release hold")).to_be_visible()
