"""Signaling, WHIP and WHEP on their way to the node of their room, where no gateway does it."""
