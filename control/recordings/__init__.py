"""Recordings: starting and stopping them, downloading them as ZIP, recovering them from files."""
