"""The process that decodes one stream and encodes it for WebRTC."""
