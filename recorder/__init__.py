"""Recorder: a sink that muxes forwarded media into files that survive any crash."""
