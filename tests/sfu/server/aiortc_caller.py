"""A client that publishes and subscribes with aiortc, on top of a signaling client."""

import asyncio

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from tests.sfu.server.harness import Client


class Frames:
    """Counter of decoded frames of a received track."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self.kind = track.kind
        self.count = 0
        self._track = track
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self._track.recv()
            self.count += 1


class Caller:
    """Client that publishes and subscribes with aiortc, on top of a signaling client."""

    def __init__(self, entry: Client) -> None:
        self.client = entry
        self.publish = RTCPeerConnection()
        # With another policy, aiortc uses only candidates of the last bundled section, but they are in the first.
        self.subscribe = RTCPeerConnection(RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_COMPAT))
        self.frames: dict[str, Frames] = {}
        self.subscribe.on("track", self._on_track)
        entry.handlers.append(self._handle)

    def _on_track(self, track: MediaStreamTrack) -> None:
        mid = next(t.mid for t in self.subscribe.getTransceivers() if t.receiver.track is track)
        self.frames[mid] = Frames(track)

    async def _handle(self, message: signaling.ServerMessage) -> None:
        if isinstance(message, signaling.Offer):
            await self.subscribe.setRemoteDescription(RTCSessionDescription(message.sdp, "offer"))
            await self.subscribe.setLocalDescription(await self.subscribe.createAnswer())
            answer = self.subscribe.localDescription
            await self.client.send(signaling.Answer(peer="subscribe", sdp=answer.sdp, id=message.id))

    async def publish_both(self) -> dict[str, str]:
        """Publish a microphone and a camera, and return their track ids by source."""
        self.publish.addTrack(AudioStreamTrack())
        self.publish.addTrack(VideoStreamTrack())
        await self.publish.setLocalDescription(await self.publish.createOffer())
        offer = self.publish.localDescription
        tracks = [
            signaling_values.OfferedTrack(mid="0", source=Source.MICROPHONE),
            signaling_values.OfferedTrack(mid="1", source=Source.CAMERA),
        ]
        await self.client.send(signaling.Offer(peer="publish", sdp=offer.sdp, id=1, tracks=tracks))
        answer = await self.client.until(signaling.Answer)
        await self.publish.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return {"microphone": answer.tracks[0].track, "camera": answer.tracks[1].track}

    def frames_of(self, track: str) -> int:
        said = [message for message in self.client.received if isinstance(message, signaling.Slots)]
        mid = next((slot.mid for message in said[-1:] for slot in message.slots if slot.track == track), None)
        return self.frames[mid].count if mid in self.frames else 0

    async def close(self) -> None:
        for frames in self.frames.values():
            frames.task.cancel()
        await asyncio.gather(*(frames.task for frames in self.frames.values()), return_exceptions=True)
        await self.publish.close()
        await self.subscribe.close()
