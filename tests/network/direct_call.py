"""Two Chromiums connected directly over an emulated link, for comparison: libwebrtc's sender instead of our server.

`python -m tests.network.direct_call NAME...` prints what the viewer sees; without names it runs all cases. `--seeds N`
repeats each with other seeds. Needs root. The link lies in front of the viewer: a direct call's uplink is no other.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.network.bar_hard_links import BARS, SECONDS
from tests.network.bar_shared import CASES as SHARED
from tests.network.bar_shared import queue_of
from tests.network.bar_uplink import SETTLING
from tests.network.behind_link import INBOUND, UP, Browser, chromium_at, down, page_at
from tests.sfu.server.browser_page import page_server
from tests.support.chromium import chromium, open_page
from tests.support.link_model import LinkSettings
from tests.support.noisy_camera import write_noisy_video
from tests.support.starvation import starvation
from tests.support.tcp_load import tcp_load
from tests.support.tun_forwarder import EmulatedHost, emulated_host
from tests.support.waiting import eventually


@dataclass(frozen=True, slots=True)
class Case:
    """A link, the time before the measurement (s), and the congestion control of a TCP flow beside the call."""

    settings: LinkSettings
    settling: float
    control: str | None = None
    contrast: int = 24
    flicker: int = 6


CASES = (
    {name: Case(bar.settings, bar.settling) for name, bar in BARS.items()}
    # The camera of the bars for uplinks.
    | {f"{rate // 1000} kbps": Case(down(rate), SETTLING, contrast=12, flicker=4) for rate in (120_000, 500_000)}
    | {
        f"{control} {megabits} Mbps {milliseconds} ms": Case(
            down(**queue_of(megabits, milliseconds)), 8, control, contrast=12, flicker=4
        )
        for megabits, milliseconds, control in SHARED
    }
)
_GATHERED = """
  if (pc.iceGatheringState !== 'complete')
    await new Promise((done) => pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done());
  return pc.localDescription.sdp;
"""
_OFFER = f"""
async () => {{
  const video = {{width: 1280, height: 720, frameRate: 30}};
  const stream = await navigator.mediaDevices.getUserMedia({{audio: true, video}});
  const pc = window.pc = new RTCPeerConnection();
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
  await pc.setLocalDescription(await pc.createOffer());
  {_GATHERED}
}}
"""
_ANSWER = f"""
async (sdp) => {{
  const pc = window.pc = new RTCPeerConnection();
  pc.ontrack = ({{track}}) => {{
    const element = document.body.appendChild(document.createElement(track.kind));
    element.muted = true;
    element.autoplay = true;
    element.srcObject = new MediaStream([track]);
  }};
  await pc.setRemoteDescription({{type: 'offer', sdp}});
  await pc.setLocalDescription(await pc.createAnswer());
  {_GATHERED}
}}
"""


@asynccontextmanager
async def direct_call(case: Case, seed: int, directory: Path) -> AsyncIterator[tuple[EmulatedHost, Any]]:
    """Yield the link and the viewer's page once both are connected."""
    video = directory / "noise.mjpeg"
    write_noisy_video(video, contrast=case.contrast, flicker=case.flicker)
    with emulated_host(case.settings, UP, seed) as link:
        async with (
            page_server() as near,
            page_at(link.server_address) as far,
            chromium(flags=[f"--use-file-for-fake-video-capture={video}"], whole=True) as sending,
            chromium_at(link.prefix, far) as bob,
        ):
            ann, viewer = await open_page(sending, near), bob
            answer = await viewer.evaluate(_ANSWER, await ann.evaluate(_OFFER))  # type: ignore[call-arg]  # Playwright's
            await ann.evaluate("(sdp) => pc.setRemoteDescription({type: 'answer', sdp})", answer)
            await eventually(lambda: _connected(viewer), 30)
            yield link, viewer


async def _connected(page: Browser) -> bool:
    return bool(await page.evaluate("pc.connectionState === 'connected'"))


async def _inbound(page: Browser, kind: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = await page.evaluate(INBOUND)
    return next(row for row in rows if row["kind"] == kind)


async def _measure(name: str, case: Case, seed: int) -> None:
    with tempfile.TemporaryDirectory() as directory, starvation() as starved:
        async with direct_call(case, seed, Path(directory)) as (link, bob):
            await asyncio.sleep(case.settling)
            with ExitStack() as stack:
                load = stack.enter_context(tcp_load(link, case.control)) if case.control else None
                await asyncio.sleep(3 if load else 0)
                sound, picture, began = await _inbound(bob, "audio"), await _inbound(bob, "video"), time.monotonic()
                loaded = load.received() if load else 0
                await asyncio.sleep(SECONDS)
                heard, shown = await _inbound(bob, "audio"), await _inbound(bob, "video")
                seconds = time.monotonic() - began
                share = (load.received() - loaded) * 8 / seconds / (case.settings.rate or 1) if load else None
    print(
        f"{name}, seed {seed}: {(shown['frames'] - picture['frames']) / seconds:.1f} fps, {shown['height']} lines, "
        f"{shown['freezes'] - picture['freezes']} freezes, {(shown['frozen'] - picture['frozen']) / seconds:.1%}, "
        f"{(shown['bytes'] - picture['bytes']) * 8 / seconds / 1e6:.2f} Mbps, "
        f"{(heard['concealed'] - sound['concealed']) / max(heard['samples'] - sound['samples'], 1):.2%} concealed"
        + (f", TCP has {share:.0%}" if share is not None else "")
        + f"; waited for a processor for {starved.share:.0%}",
        flush=True,
    )


async def _run(names: list[str], seeds: int) -> None:
    for name in names or CASES:
        for seed in range(1, seeds + 1):
            await _measure(name, CASES[name], seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES).replace("%", "%%"))
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    if unknown := set(options.names) - CASES.keys():
        parser.error(f"no such link: {', '.join(unknown)}")
    asyncio.run(_run(options.names, options.seeds))
