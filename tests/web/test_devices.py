"""The caller's device: its cameras, a headset and its buttons, the icon's badge, and the screen that stays on."""

import pytest
from playwright.async_api import Browser, Page, expect

from sfu.api import signaling
from tests.web.conftest import open_page
from tests.web.page_stage import PHONE, SUMMARY, act, enter, view
from tests.web.scripted import ScriptedServer

__all__ = ["view"]
pytestmark = pytest.mark.asyncio(loop_scope="module")
DEVICE = """
globalThis.told = {badges: [], locks: 0, released: 0};
Object.assign(Navigator.prototype, {
  async setAppBadge(count) { told.badges.push(count); },
  async clearAppBadge() { told.badges.push(0); },
});
const request = async () => { told.locks += 1; return {release: async () => { told.released += 1; }}; };
Object.defineProperty(navigator, 'wakeLock', {value: {request}});
"""
BUTTONS = """
globalThis.told = {handlers: {}};
Object.assign(MediaSession.prototype, {
  setActionHandler(name, handler) { told.handlers[name] = handler; },
  setMicrophoneActive(on) { told.microphone = on; },
  setCameraActive(on) { told.camera = on; },
});
"""
HEADSET = """() => {
  const list = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
  window.headsets = [{kind: 'audioinput', deviceId: 'headset', groupId: 'headset', label: 'Headset'}];
  navigator.mediaDevices.enumerateDevices = async () => [...await list(), ...window.headsets];
  navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
}"""
CAMERAS = """
const devices = navigator.mediaDevices;
const media = devices.getUserMedia.bind(devices), list = devices.enumerateDevices.bind(devices);
const name = (deviceId, label) => ({kind: 'videoinput', deviceId, groupId: deviceId, label});
const cameras = [name('front', 'Front camera'), name('back', 'Back camera')];
devices.enumerateDevices = async () => [...(await list()).filter(({kind}) => kind !== 'videoinput'), ...cameras];
globalThis.told = {open: 0, most: 0, broken: ''};
devices.getUserMedia = async (wanted) => {
  if (!wanted.video) return media(wanted);
  const {exact, ideal} = wanted.video.deviceId ?? {};
  const deviceId = exact ?? ideal ?? 'front';
  if (deviceId === told.broken) throw new DOMException('it is taken', 'NotReadableError');
  const stream = await media({video: true});
  const [track] = stream.getVideoTracks(), stop = track.stop.bind(track);
  const settings = {...track.getSettings(), deviceId, facingMode: deviceId === 'back' ? 'environment' : 'user'};
  track.getSettings = () => settings;
  track.stop = () => {
    if (track.readyState === 'live') told.open -= 1;
    stop();
  };
  told.open += 1;
  told.most = Math.max(told.most, told.open);
  told.camera = deviceId;
  return stream;
};
"""


async def test_the_device_stays_awake_and_shows_what_waits(view: Page, server: ScriptedServer) -> None:
    await view.add_init_script(DEVICE)
    session = await enter(view, server)
    await session.send(signaling.Chat(text="Hello", id="c1", participant="p2", name="Grace", at=1))
    await view.wait_for_function("() => told.badges.at(-1) === 1")
    await view.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await view.wait_for_function("() => told.locks === 2")
    await act(view, "leave")
    await view.wait_for_function("() => told.badges.at(-1) === 0 && told.released >= 1")


async def test_buttons_of_a_headset_act(view: Page, server: ScriptedServer) -> None:
    await view.add_init_script(BUTTONS)
    session = await enter(view, server)
    await view.wait_for_function("() => told.microphone === true && told.camera === true")
    await view.evaluate("told.handlers.togglemicrophone()")
    await expect(view.get_by_role("button", name="Unmute")).to_be_visible()
    await view.evaluate("told.handlers.togglecamera()")
    await view.wait_for_function("() => told.microphone === false && told.camera === false")
    await view.evaluate("told.handlers.hangup()")
    await session.next_of(signaling.Leave)
    await view.wait_for_function("() => Object.values(told.handlers).every((handler) => handler === null)")


async def test_a_headset_is_offered_while_it_is_there(view: Page, server: ScriptedServer) -> None:
    await enter(view, server)
    await view.evaluate(HEADSET)
    await expect(view.locator(".toast")).to_contain_text("Headset was connected.")
    await view.evaluate("headsets = []; navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    await expect(view.locator(".toast")).to_have_count(0, timeout=2_000)


async def test_a_phone_switches_between_its_cameras(chromium: Browser, server: ScriptedServer) -> None:
    server.answers["GET", "/meetings/m1/summary"] = (200, SUMMARY)
    size = {"width": PHONE[0], "height": PHONE[1]}
    async with open_page(chromium, viewport=size, has_touch=True, is_mobile=True) as page:
        await page.add_init_script(CAMERAS)
        await enter(page, server)
        tiles, switch = page.locator(".tiles"), page.get_by_role("button", name="Switch the camera")
        await expect(tiles).to_have_attribute("data-mirror", "yes")
        for camera, mirror in (("back", "no"), ("front", "yes")):
            await switch.tap()
            await expect(tiles).to_have_attribute("data-mirror", mirror)
            assert await page.evaluate("[told.camera, told.open, told.most]") == [camera, 1, 1]
        await page.evaluate("told.broken = 'back'")
        await switch.tap()
        await expect(page.locator(".toast")).to_contain_text("The camera is in use by another program.")
        await expect(page.locator(".tile-self video")).to_be_visible()
        assert await page.evaluate("[told.camera, told.open, told.most]") == ["front", 1, 1]
