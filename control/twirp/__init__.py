"""LiveKit's server API: Twirp (RPC over POST with JSON or protobuf), for its unmodified server SDKs."""
