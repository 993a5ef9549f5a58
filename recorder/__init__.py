"""Recorder: a sink that muxes what the sfu forwards into files that survive any crash."""
