"""Proxies of signaling, WHIP and WHEP to the node of a room, for deployments without a gateway."""
