"""The signaling protocol of LiveKit's SDKs, translated to ours and back. Without I/O."""
