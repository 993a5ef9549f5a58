"""Broadcasts: a room's composed picture and sound, sent out live."""
