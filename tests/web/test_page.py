"""The page during and after a call, and its compliance with the policy that it is served under."""

import re
from typing import Any

import msgspec
import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Grants, Source
from tests.web.page_stage import (
    GRACE,
    RECORDING,
    STORAGE,
    SUMMARY,
    act,
    at_both_sizes,
    choose,
    enter,
    fits,
    view,
)
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@at_both_sizes
async def test_keys_and_buttons_do_the_same(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.next_of(signaling.Offer)
    microphone = view.locator("[data-action=microphone]")
    await expect(microphone).to_have_attribute("title", "Mute (m)")
    await view.keyboard.press("m")
    await expect(microphone).to_have_attribute("title", "Unmute (m)")
    await microphone.click()
    await expect(microphone).to_have_attribute("title", "Mute (m)")
    await view.keyboard.press("t")
    await view.get_by_label("Message", exact=True).fill("m")
    await expect(microphone).to_have_attribute("title", "Mute (m)")
    await view.locator(".panel-chat").get_by_role("button", name="Close").click()
    await view.keyboard.press("?")
    await expect(view.get_by_role("dialog")).to_contain_text("Turn the microphone on or off")
    await view.keyboard.press("Escape")
    await expect(view.get_by_role("dialog")).to_have_count(0)
    await fits(view)


async def test_a_link_does_not_join_for_somebody(view: Page, server: ScriptedServer) -> None:
    await view.goto(f"{server.url}/m/m1#prejoin=off&name=Ada")
    await expect(view.get_by_label("Your name")).to_have_value("Ada")
    assert server.joins() == []


async def test_a_recording_is_announced_and_can_be_refused(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.next_of(signaling.Consent)
    await session.next_of(signaling.Consent)
    banner = view.locator(".banner-recording")
    await expect(banner).to_be_hidden()
    state = signaling_values.RecordingState(active=True, recording="r1", started_at=1, text="recording-1")
    await session.send(signaling.RecordingChanged(state=state))
    await expect(banner).to_contain_text("being recorded")
    await banner.get_by_role("button", name="Attend unrecorded").click()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=False)
    await expect(banner).to_contain_text("but not you")
    await banner.get_by_role("button", name="Record me after all").click()
    assert await session.next_of(signaling.Consent) == signaling.Consent(text="recording-1", recording=True)
    await fits(view)
    badge = view.locator(".recording-badge")
    await expect(badge).to_have_text("REC")
    await badge.click()
    await expect(banner).to_be_hidden()
    await badge.click()
    await expect(banner.get_by_role("button", name="Stop recording me")).to_be_visible()
    await session.send(signaling.RecordingChanged(state=signaling_values.RecordingState(active=False)))
    await expect(banner).to_be_hidden()
    await expect(badge).to_be_hidden()


@at_both_sizes
async def test_a_recording_that_stalls_and_goes_on_is_said_to_everyone(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    banner = view.locator(".banner-recording")
    going = signaling_values.RecordingState(active=True, recording="r1", started_at=1, text="recording-1")
    await session.send(signaling.RecordingChanged(state=going))
    await expect(banner).to_contain_text("being recorded")
    stalled = msgspec.structs.replace(going, stalled="The disk for recordings is full.", stalled_code="storage")
    await session.send(signaling.RecordingChanged(state=stalled))
    await expect(banner).to_contain_text("The recording has stalled. The disk for recordings is full.")
    await expect(banner).not_to_contain_text("being recorded")
    await fits(view)
    await session.send(signaling.RecordingChanged(state=going))
    await expect(banner).to_contain_text("being recorded")
    await expect(banner).not_to_contain_text("stalled")


@at_both_sizes
async def test_only_hosts_record_mute_and_remove(view: Page, server: ScriptedServer) -> None:
    server.answers["POST", "/meetings/m1/recording/start"] = (201, RECORDING)
    server.answers["POST", "/meetings/m1/participants/p2/mute"] = (200, {"ok": True})
    server.answers["POST", "/meetings/m1/participants/p2/remove"] = (200, {"ok": True})
    track = signaling_values.TrackInfo(track="t2", participant="p2", source="microphone", media="audio", codec="opus")
    session = await enter(view, server, tracks=[track])
    await expect(view.locator("[data-action=record]")).to_be_hidden()
    await view.keyboard.press("p")
    await expect(view.locator("[data-host]:visible")).to_have_count(0)
    await session.send(signaling.GrantsChanged(grants=Grants(host=True)))
    await view.locator("[data-host=mute]").click()
    await view.get_by_role("button", name="More for Grace Hopper").click()
    await view.get_by_role("button", name="Remove Grace Hopper").click()
    await view.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await view.locator(".panel-people").get_by_role("button", name="Close").click()
    await act(view, "record")
    await expect(view.locator("[data-action=record]")).to_be_enabled()
    done = {path.rpartition("/")[2]: body for method, path, body in server.requests if method == "POST"}
    assert done["mute"] == {"muted": ["microphone"]}
    assert done["remove"] == {"ban": False}
    assert "start" in done


@at_both_sizes
async def test_hosts_change_the_meeting_and_roles(view: Page, server: ScriptedServer) -> None:
    server.answers["PUT", "/meetings/m1"] = (200, {})
    server.answers["PUT", "/meetings/m1/participants/p2/role"] = (200, {})
    server.answers["POST", "/meetings/m1/join"] = (200, server.join_answer(role="host"))
    session = await enter(view, server, grants=Grants(host=True))
    await view.keyboard.press("p")
    await view.get_by_role("button", name="Host controls").click()
    await view.get_by_role("checkbox", name="Lock the meeting").check()
    await fits(view)
    await view.get_by_role("dialog").get_by_role("button", name="Close").click()
    await view.get_by_role("button", name="More for Grace Hopper").click()
    await view.get_by_role("button", name="Make Grace Hopper a co-host").click()
    await view.get_by_role("button", name="More for Grace Hopper").click()
    await view.get_by_role("button", name="Let Grace Hopper present").click()
    await session.send(signaling.ParticipantUpdated(participant=msgspec.structs.replace(GRACE, presenter=True)))
    await expect(view.locator(".person", has_text="Grace Hopper")).to_contain_text("Presenter")
    await view.get_by_role("button", name="More for Grace Hopper").click()
    await view.get_by_role("button", name="Stop letting Grace Hopper present").click()
    attendee = msgspec.structs.replace(GRACE, attendee=True, hand=1)
    await session.send(signaling.ParticipantUpdated(participant=attendee))
    await view.locator(".hands").get_by_role("button", name="Let Grace Hopper speak").click()
    await expect(view.locator(".tile[data-id=p2]")).to_have_count(0)
    await expect(view.locator(".person", has_text="Grace Hopper")).to_contain_text("Attendee")
    changes = [(path, body) for method, path, body in server.requests if method == "PUT"]
    assert changes == [
        ("/meetings/m1", {"settings": {"locked": True}}),
        ("/meetings/m1/participants/p2/role", {"role": "co-host"}),
        ("/meetings/m1/participants/p2/role", {"role": "presenter"}),
        ("/meetings/m1/participants/p2/role", {"role": "participant"}),
        ("/meetings/m1/participants/p2/role", {"role": "participant"}),
    ]


async def test_who_becomes_a_presenter_is_told_and_may_share(view: Page, server: ScriptedServer) -> None:
    speaking = (Source.MICROPHONE, Source.CAMERA)
    session = await enter(view, server, grants=Grants(publish=speaking))
    await expect(view.locator("[data-action=screen]")).to_be_disabled()
    await session.send(signaling.GrantsChanged(grants=Grants(presenter=True)))
    await expect(view.get_by_text("You are a presenter now")).to_be_visible()
    await expect(view.locator("[data-action=screen]")).to_be_enabled()


async def test_attendees_turn_on_nothing_until_they_may_speak(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY | {"webinar": True})
    session = await enter(view, server, grants=Grants(publish=(), data=False))
    await expect(view.get_by_text("You are an attendee")).to_be_visible()
    for action in ("microphone", "camera", "screen"):
        await expect(view.locator(f"[data-action={action}]")).to_be_hidden()
    await expect(view.locator(".tile-self")).to_have_count(0)
    await session.send(signaling.GrantsChanged(grants=Grants()))
    await expect(view.get_by_text("You may speak now")).to_be_visible()
    await view.get_by_role("button", name="Unmute").click()
    assert (await session.next_of(signaling.Offer)).sdp.count("a=sendonly") == 1


async def test_a_host_s_mute_shows_on_the_own_button(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.send(signaling.GrantsChanged(grants=Grants(muted=(Source.MICROPHONE,), unmute=False)))
    await expect(view.locator("[data-action=microphone]")).to_have_attribute("title", "Muted by a host (m)")
    await view.keyboard.press("m")
    await expect(view.get_by_text("A host muted you.")).to_be_visible()

    # Where participants may unmute themselves, the microphone is on as soon as the media server knows.
    unmute = ("POST", "/meetings/m1/participants/p1/unmute")
    server.answers[unmute] = (200, {})
    await session.send(signaling.GrantsChanged(grants=Grants(muted=(Source.MICROPHONE,))))
    async with view.expect_response("**/unmute"):
        await view.get_by_role("button", name="Unmute").click()
    assert (*unmute, {"source": "microphone"}) in server.requests
    await expect(view.locator("[data-action=microphone]")).to_have_attribute("aria-pressed", "false")
    await session.send(signaling.GrantsChanged(grants=Grants()))
    await expect(view.locator("[data-action=microphone]")).to_have_attribute("aria-pressed", "true")


async def test_people_rename_themselves_where_they_may(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    renamed = ("PUT", "/meetings/m1/participants/p1/name")
    server.answers[renamed] = (200, {})
    await view.keyboard.press("p")
    await view.get_by_role("button", name="Change your name").click()
    await view.get_by_role("textbox", name="Your name").fill("Ada <b>Lovelace</b>")
    async with view.expect_response("**/name"):
        await view.get_by_role("button", name="Save").click()
    assert (*renamed, {"name": "Ada <b>Lovelace</b>"}) in server.requests
    own = signaling_values.ParticipantInfo(participant="p1", name="Ada <b>Lovelace</b>")
    await session.send(signaling.ParticipantUpdated(participant=own))
    await expect(view.locator(".tile-self")).to_contain_text("Ada <b>Lovelace</b> (you)")
    await session.send(signaling.GrantsChanged(grants=Grants(rename=False)))
    await expect(view.get_by_role("button", name="Change your name")).to_be_hidden()


async def test_a_transcript_has_what_was_said_before_and_now(view: Page, server: ScriptedServer) -> None:
    earlier = {
        "utterance": "u0",
        "participant": "p9",
        "name": "Alan",
        "text": "Hello <i>there</i>.",
        "lang": "en",
        "start_ms": 0,
    }
    server.answers["GET", "/meetings/m1/captions"] = (200, {"captions": [earlier]})
    session = await enter(view, server)
    await session.send(signaling.CaptionsChanged(state=signaling_values.CaptionsState(available=True)))
    await expect(view.get_by_role("button", name="Transcript")).to_be_attached()
    await view.keyboard.press("y")
    lines = view.locator(".panel-transcript li")
    await expect(lines).to_have_text(["0:00AlanHello <i>there</i>."])
    for rev, text, start in ((1, "Hel", 5_000), (2, "Hello Alan.", 5_000)):
        await session.send(
            signaling.Caption(
                v=1, meeting="m1", participant="p2", track="t2", utterance="u1", rev=rev, final=rev == 2,
                start_ms=start, end_ms=start + 1, lang="en", text=text, model="m",
            )
        )  # fmt: skip
    await expect(lines).to_have_text(["0:00AlanHello <i>there</i>.", "0:05Grace HopperHello Alan."])


async def test_chat_is_text_whatever_it_holds(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    text = '<img src=x onerror="window.hacked=1"> https://example.org/a'
    await session.send(signaling.Chat(text=text, id="c1", participant="p2", name="Grace <b>", at=1))
    await expect(view.locator("[data-action=chat]")).to_have_attribute("data-count", "1")
    await view.keyboard.press("t")
    message = view.locator(".message")
    await expect(message).to_contain_text('<img src=x onerror="window.hacked=1">')
    await expect(message.get_by_role("link")).to_have_attribute("href", "https://example.org/a")
    assert await view.evaluate("[window.hacked, document.querySelectorAll('.message img, .message b').length]") == [
        None,
        0,
    ]
    await view.get_by_label("Message", exact=True).fill("Hello")
    await view.keyboard.press("Enter")
    assert await session.next_of(signaling.Chat) == signaling.Chat(text="Hello")
    await fits(view)


@at_both_sizes
async def test_captions_are_replaced_by_their_revisions(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await act(view, "captions")
    await expect(view.locator(".captions")).to_have_text("run parley models fetch")
    late = signaling_values.CaptionsState(available=True, reason="They may be late.", code="late")
    await session.send(signaling.CaptionsChanged(state=late))
    await expect(view.locator(".captions")).to_contain_text("Captions may be late")
    await session.send(signaling.CaptionsChanged(state=signaling_values.CaptionsState(available=True)))
    await expect(view.locator(".captions")).to_have_text("")

    def caption(rev: int, text: str, final: bool = False) -> signaling.Caption:
        return signaling.Caption(
            v=1, meeting="m1", participant="p2", track="t2", utterance="u1", rev=rev, final=final,
            start_ms=0, end_ms=1, lang="en", text=text, model="m",
        )  # fmt: skip

    await session.send(caption(2, "Hello wor"), caption(1, "Hel"), caption(3, "Hello world.", final=True))
    await expect(view.locator(".captions")).to_have_text("Grace Hopper Hello world.")
    await act(view, "layout")
    await choose(view, "captions-size", "large")
    await expect(view.locator(".caption")).to_have_css("font-size", "24px")


@at_both_sizes
async def test_captions_are_dragged_to_the_other_edge(view: Page, server: ScriptedServer) -> None:
    await enter(view, server)
    await act(view, "captions")
    captions = view.locator(".captions")
    await expect(captions).to_have_attribute("data-at", "bottom")

    async def drag(by: float) -> None:
        box = await captions.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await view.mouse.move(x, y)
        await view.mouse.down()
        await view.mouse.move(x, y + by, steps=5)
        moved = await captions.bounding_box()
        assert moved is not None
        assert moved["y"] == pytest.approx(box["y"] + by, abs=1)
        await view.mouse.up()

    await drag(-30)
    await expect(captions).to_have_attribute("data-at", "bottom")
    await drag(-450)
    await expect(captions).to_have_attribute("data-at", "top")
    top = await captions.bounding_box()
    assert top is not None
    assert top["y"] < 250
    await drag(450)
    await expect(captions).to_have_attribute("data-at", "bottom")
    await act(view, "layout")
    await expect(view.locator("input[name=captions-at][value=bottom]")).to_be_checked()


async def test_captions_are_translated_for_a_reader_who_wants_it(view: Page, server: ScriptedServer) -> None:
    server.answers["GET", "/ai/analysis"] = (200, {"captions": True, "translation": ["de", "en", "zh-Hans"]})
    refused = (502, {"code": "translation_failed", "detail": "x"})
    answers: list[tuple[int, Any]] = [refused]
    server.answers["POST", "/meetings/m1/captions/translate"] = lambda _request: answers[-1]
    session = await enter(view, server)
    await session.send(signaling.CaptionsChanged(state=signaling_values.CaptionsState(available=True)))
    await act(view, "captions")
    captions = view.locator(".captions")

    async def say(utterance: str, text: str, lang: str = "zh") -> None:
        await session.send(
            signaling.Caption(
                v=1, meeting="m1", participant="p2", track="t2", utterance=utterance, rev=1, final=True,
                start_ms=0, end_ms=1, lang=lang, text=text, model="m",
            )
        )  # fmt: skip

    await say("u1", "预算")
    await expect(captions).to_contain_text("预算")
    await act(view, "layout")
    choice = view.get_by_label("Translate captions to")
    await expect(choice.locator("option")).to_have_text(["Do not translate", "English", "German", "Simplified Chinese"])
    await choice.select_option("German")
    await view.get_by_role("button", name="Done").click()
    await say("u2", "第二页")
    await expect(captions).to_contain_text("Translation is not available right now.")
    await expect(captions).to_contain_text("第二页")
    answers.append((200, {"language": "de", "captions": [{"utterance": "u3", "text": "Seite drei"}]}))
    await say("u4", "Das bleibt.", "de")
    await say("u3", "第三页")
    await expect(view.locator(".caption:lang(de)").last).to_have_text("Grace Hopper Seite drei")
    await expect(captions).not_to_contain_text("Translation is not available")
    asked = [body for method, path, body in server.requests if path.endswith("/translate") and method == "POST"]
    assert asked == [{"language": "de", "utterances": [utterance]} for utterance in ("u2", "u3")]


async def test_a_shared_screen_takes_the_stage(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    layout = view.locator(".tiles")
    await expect(layout).to_have_attribute("data-layout", "duo")
    screen = signaling_values.TrackInfo(track="s1", participant="p2", source="screen", media="video", codec="VP8")
    await session.send(signaling.TrackPublished(track=screen))
    await expect(layout).to_have_attribute("data-layout", "stage")
    await expect(view.locator(".stage")).to_contain_text("Grace Hopper’s screen")
    await fits(view)
    await session.send(signaling.TrackState(track="s1", paused=True, reason="codec_unsupported"))
    await expect(view.locator(".stage")).to_contain_text("cannot play this video")
    await session.send(signaling.TrackState(track="s1", paused=True, reason="bandwidth"))
    await expect(view.locator(".stage")).to_contain_text("Paused: the network is too slow")
    await session.send(signaling.TrackState(track="s1", paused=True, reason="overload"))
    await expect(view.locator(".stage")).to_contain_text("Paused: the server is busy. Audio continues.")
    await session.send(signaling.TrackState(track="s1", paused=False))
    await expect(view.locator(".stage")).not_to_contain_text("Paused")
    await session.send(signaling.TrackUnpublished(track="s1"))
    await expect(layout).to_have_attribute("data-layout", "duo")


@at_both_sizes
async def test_a_crowd_is_shown_in_part_and_the_rest_costs_nothing(view: Page, server: ScriptedServer) -> None:
    crowd = [
        signaling_values.ParticipantInfo(participant=f"p{number}", name=f"Person {number}") for number in range(1, 61)
    ]
    tracks = [
        signaling_values.TrackInfo(
            track=f"v{number}", participant=f"p{number}", source="camera", media="video", codec="VP8"
        )
        for number in range(2, 61)
    ]
    session = await enter(view, server, participants=crowd, tracks=tracks)
    await expect(view.locator(".pager-word")).to_have_text(re.compile(r"1 / \d"))
    shown = await view.locator(".grid .tile-person").count()
    assert shown <= 25
    wishes = await session.next_of(signaling.Subscribe)
    assert sum(not wanted.on for wanted in wishes.tracks) == 60 - shown
    hidden = next(wanted.track for wanted in wishes.tracks if not wanted.on)
    speaker = hidden.replace("v", "p")
    await session.send(signaling.Speakers(speakers=[signaling_values.Speaker(participant=speaker, level=10)]))
    await expect(view.locator(f"[data-id={speaker}].speaking")).to_be_visible()
    first = await view.locator(".grid .tile-person").evaluate_all("(tiles) => tiles.map(({dataset}) => dataset.id)")
    await view.keyboard.press("PageDown")
    await expect(view.locator(".pager-word")).to_have_text(re.compile(r"2 / \d"))
    second = await view.locator(".grid .tile-person").evaluate_all("(tiles) => tiles.map(({dataset}) => dataset.id)")
    assert second
    assert not set(first) & set(second)
    await fits(view)


async def test_people_without_a_picture_can_be_left_out(view: Page, server: ScriptedServer) -> None:
    people = [signaling_values.ParticipantInfo(participant=f"p{number}", name=f"P{number}") for number in range(1, 7)]
    camera = signaling_values.TrackInfo(track="v3", participant="p3", source="camera", media="video", codec="VP8")
    session = await enter(view, server, participants=people, tracks=[camera])
    await expect(view.locator(".grid .tile-person")).to_have_count(6)
    await view.keyboard.press("g")
    await view.get_by_role("checkbox", name="Hide people without video").check()
    await view.keyboard.press("Escape")
    await expect(view.locator(".grid .tile-person:not(.tile-self)")).to_have_count(1)
    await session.send(signaling.TrackMuted(track="v3", muted=True))
    await expect(view.locator(".grid .tile-person:not(.tile-self)")).to_have_count(5)  # nobody is left: all again


async def test_the_own_picture_is_moved_by_hand_and_by_keys(view: Page, server: ScriptedServer) -> None:
    await enter(view, server)
    tiles = view.locator(".tiles")
    box = await view.locator(".tile-self").bounding_box()
    assert box is not None
    await view.mouse.move(box["x"] + 20, box["y"] + 20)
    await view.mouse.down()
    await view.mouse.move(200, 200, steps=4)
    await view.mouse.up()
    await expect(tiles).to_have_attribute("data-corner", "top-left")
    await view.get_by_role("button", name="Move your video").focus()
    await view.keyboard.press("ArrowDown")
    await expect(tiles).to_have_attribute("data-corner", "bottom-left")


async def test_another_language_in_the_call_keeps_the_call(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await session.send(signaling.Chat(text="Before", id="c1", participant="p2", name="Grace", at=1))
    await view.keyboard.press("t")
    await expect(view.locator(".message")).to_have_count(1)
    await view.get_by_role("button", name="Settings").click()
    await view.locator("select[name=language]").select_option("zh-CN")
    await expect(view.locator("[data-action=leave]")).to_have_attribute("aria-label", "离开会议")
    await expect(view.locator(".panel-chat h2")).to_have_text("聊天")
    await expect(view.locator(".message")).to_have_count(1)
    await expect(view.locator("[data-id=p2]")).to_be_visible()
    no_models = signaling_values.CaptionsState(available=False, reason="run parley models fetch", code="no_models")
    await session.send(signaling.CaptionsChanged(state=no_models))
    await view.locator("[data-action=captions]").click()
    await expect(view.locator(".captions")).to_have_text("字幕不可用：服务器尚未安装字幕模型。")
    assert len(server.all_sessions) == 1


async def test_a_server_that_says_nothing_is_noticed_before_its_connections_break(
    view: Page, server: ScriptedServer
) -> None:
    session = await enter(view, server)
    # The received bytes grow, then stop: there is no media here.
    await view.evaluate("""() => {
      const pair = () => ({type: 'candidate-pair', nominated: true, bytesReceived: window.came});
      const peers = () => ({publish: {getStats: async () => [pair()]}});
      window.came = 1;
      window.flow = setInterval(() => window.came += 1, 50);
      Object.defineProperty(parley.room, 'peers', {get: peers});
    }""")
    await view.wait_for_timeout(1200)
    session.mute = True
    stopped = await view.evaluate("clearInterval(flow), performance.now()")
    await expect(view.locator(".banner-connection")).to_contain_text("The server is not responding")
    assert await view.evaluate("performance.now()") - stopped < 5_000  # the next regular question comes after that
    await view.evaluate("setInterval(() => window.came += 1, 50)")
    session.mute = False
    await expect(view.locator(".banner-connection")).to_be_hidden()


async def test_the_state_of_the_connection_is_the_truth(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await expect(view.locator(".connection")).to_have_attribute("data-state", "connected")
    server.refuse_sockets = True
    await session.socket.close(1012)
    await expect(view.locator(".banner-connection")).to_contain_text(re.compile(r"Reconnecting in \d+ s"))
    await fits(view)
    server.refuse_sockets = False
    again = await server.session()
    await again.welcome(
        resumed=True, participants=[signaling_values.ParticipantInfo(participant="p1", name="Ada"), GRACE]
    )
    await expect(view.locator(".banner-connection")).to_be_hidden()
    for trouble in ({"connected": False}, {"quality": "lost"}):
        info = signaling_values.ParticipantInfo(participant="p2", name="Grace", **trouble)
        await again.send(signaling.ParticipantUpdated(participant=info))
        await expect(view.locator("[data-id=p2]")).to_contain_text("Reconnecting…")
        await again.send(signaling.ParticipantUpdated(participant=GRACE))
        await expect(view.locator("[data-id=p2]")).not_to_contain_text("Reconnecting…")
    await expect(view.locator(".connection[data-quality]")).to_be_visible()
    own = signaling_values.ParticipantInfo(participant="p1", name="Ada", quality="poor")
    await again.send(signaling.ParticipantUpdated(participant=own))
    await expect(view.locator(".connection")).to_have_attribute("data-quality", "poor", timeout=700)


@pytest.mark.parametrize(
    ("code", "title", "again"),
    [
        ("removed", "You were removed", 0),
        ("ended", "The meeting has ended", 0),
        ("replaced", "You joined somewhere else", 1),
    ],
)
async def test_what_ended_the_call_is_said(
    view: Page, server: ScriptedServer, code: str, title: str, again: int
) -> None:
    session = await enter(view, server)
    await session.send(signaling.Error(code=code, detail="Out.", fatal=True))
    await session.socket.close(4001)
    await expect(view.get_by_role("heading", level=1)).to_have_text(title)
    await expect(view.locator("#rejoin")).to_have_count(again)
    await fits(view)


async def test_leaving_and_rejoining_is_the_same_participant(view: Page, server: ScriptedServer) -> None:
    session = await enter(view, server)
    await view.keyboard.press("Shift+L")
    await session.next_of(signaling.Leave)
    await expect(view.get_by_role("heading", level=1)).to_have_text("You left the meeting")
    await view.locator("#rejoin").click()
    await (await server.session()).welcome()
    assert server.joins()[-1]["rejoin_secret"] == "rejoin-1"


async def test_recordings_are_listed_and_downloaded(view: Page, server: ScriptedServer) -> None:
    sealing = {"recordings": [RECORDING | {"state": "sealing"}], "storage": STORAGE}
    server.answers["GET", "/meetings/m1/recordings"] = (200, sealing)
    await view.goto(f"{server.url}/m/m1/recordings")
    await expect(view.locator(".recording")).to_contain_text("Processing")
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [RECORDING], "storage": STORAGE})
    await expect(view.locator(".recording")).to_contain_text("1:01 · 1.0 MB")
    await expect(view.get_by_role("link", name="Download")).to_have_attribute("href", "/api/v1/recording/download/r1")
    await fits(view)


@at_both_sizes
async def test_what_is_wrong_with_a_recording_is_said(view: Page, server: ScriptedServer) -> None:
    running = RECORDING | {"state": "recording", "stalled": "The disk for recordings is full."}
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [running], "storage": STORAGE})
    await view.goto(f"{server.url}/m/m1/recordings")
    await expect(view.locator(".recording")).to_contain_text("is not being saved at the moment. The disk")
    partial = RECORDING | {"state": "partial", "problems": ["cam: 3 packets are lost", "its end was not announced"]}
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [partial], "storage": STORAGE})
    await expect(view.locator(".recording .problems li")).to_have_text(partial["problems"])
    await fits(view)
    empty = RECORDING | {"state": "empty", "duration_ms": 0, "bytes": 0}
    server.answers["GET", "/meetings/m1/recordings"] = (200, {"recordings": [empty], "storage": STORAGE})
    await view.reload()
    await expect(view.locator(".recording")).to_contain_text("Nothing was recorded")
    await expect(view.get_by_role("link", name="Download")).to_have_count(0)
