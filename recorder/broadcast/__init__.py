"""Broadcasts: a room's composed picture and sound, streamed live."""
