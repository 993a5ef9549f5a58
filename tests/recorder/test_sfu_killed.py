"""`kill -9` of the sfu while a page is recorded: at most half a second is lost, and the recording continues."""

import io
import os
import signal
from collections.abc import Iterator

import av
import pytest
from playwright.async_api import Page

from parley_client import Api
from tests.recorder.media import BITS, BLOCK, read_number
from tests.recorder.test_with_a_whole_server import finished, stored_file
from tests.support.call import become_admin
from tests.support.chromium import LOOPBACK_FLAG, chromium, open_page
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

PUBLISH = """
async (meeting) => {
  const {Rest, Room, admission} = await import('/sdk/parley.js');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [192, 128];
  const pen = canvas.getContext('2d');
  window.count = 0;  // twentieths of a second
  setInterval(() => {
    window.count += 1;
    pen.fillStyle = '#555';
    pen.fillRect(0, 0, 192, 128);
    for (let bit = 0; bit < BITS; bit++) {
      pen.fillStyle = window.count >> bit & 1 ? 'white' : 'black';
      pen.fillRect((bit % 6) * BLOCK, Math.floor(bit / 6) * BLOCK, BLOCK, BLOCK);
    }
  }, 50);
  const room = new Room({admit: admission(new Rest(), meeting, {name: 'Ada'}), simulcast: false});
  await room.publish('camera', canvas.captureStream(20).getVideoTracks()[0]);
  await room.join();
  room.setConsent({text: '1', recording: true});
  room.addEventListener('connection', ({detail}) => {
    if (detail.state === 'connected') room.setConsent({text: '1', recording: true});
  });
  window.room = room;
}
""".replace("BITS", str(BITS)).replace("BLOCK", str(BLOCK))


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as running:
        yield running


async def test_half_a_second_at_most(server: RunningServer) -> None:
    async with Api(server.url) as api, chromium(flags=[LOOPBACK_FLAG]) as browser:
        await become_admin(api, server.setup_token)
        meeting = await api.create_meeting("Recorded")
        page = await open_page(browser, server.url)
        await page.evaluate(PUBLISH, meeting)
        recording = (await api.start_recording(meeting))["id"]
        await until(page, "room.recording && room.recording.active")
        begun = await page.evaluate("count")
        await until(page, f"count > {begun + 80}")
        killed_at = await page.evaluate("count")
        os.kill(server.part_pid("sfu"), signal.SIGKILL)
        await until(page, "room.connection.state !== 'connected'")
        await until(page, "room.connection.state === 'connected' && room.recording && room.recording.active")
        back_at = await page.evaluate("count")
        await until(page, f"count > {back_at + 60}")
        stopped_at = await page.evaluate("count")
        await api.stop_recording(meeting)
        row = await finished(api, recording)
        manifest = await api.request("GET", f"/recordings/{recording}/manifest")
        numbers: list[tuple[int, float]] = []
        for track in sorted(manifest["tracks"], key=lambda track: track["start_ms"]):
            for file in track["files"]:
                data = await stored_file(api, recording, file["key"])
                numbers += numbers_in(data, file["start_ms"])
        await page.evaluate("room.leave()")
    assert row["state"] == "ready", manifest
    before = max(number for number, _ in numbers if number <= killed_at + 10)
    assert killed_at - before <= 10, (killed_at, numbers)  # 0.5 s
    after = [number for number, _ in numbers if number > before]
    assert min(after) <= back_at + 40
    assert max(after) >= stopped_at - 10
    times = [at for _, at in numbers]
    assert times == sorted(times)
    first, last = numbers[0], numbers[-1]
    assert abs((last[1] - first[1]) - (last[0] - first[0]) / 20) < 1  # the gap is as long as it was


async def until(page: Page, expression: str, seconds: float = 40) -> None:
    """Poll: the page's content security policy forbids what Playwright's own waiting does."""
    await eventually(lambda: page.evaluate(expression), seconds)


def numbers_in(data: bytes, start_ms: int) -> list[tuple[int, float]]:
    with av.open(io.BytesIO(data)) as container:
        return [
            (read_number(image.to_ndarray(format="gray")), start_ms / 1000 + float(image.pts * image.time_base))
            for image in container.decode(video=0)
        ]
