"""Composition without I/O: participants, rooms, peers, uptracks, downtracks, slots and sinks."""
