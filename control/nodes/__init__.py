"""Clients of the sfu and inference nodes."""
