"""Conversion of audio between Opus and telephone codecs: codecs, timing, and the converting process."""
