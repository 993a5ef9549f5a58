"""LiveKit's server API: Twirp, RPC by POST with JSON or protobuf, for its server SDKs as they are."""
