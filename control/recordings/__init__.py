"""Recordings: starting and stopping, download as ZIP, and recovery from files."""
