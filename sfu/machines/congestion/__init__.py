"""Congestion control: send-side bandwidth estimation from feedback, probing and pacing."""
