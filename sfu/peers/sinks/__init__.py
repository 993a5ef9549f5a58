"""Sinks: subscribers without a network, such as the recorder, with bounded queues and replay."""
