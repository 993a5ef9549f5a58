"""Repair of losses, and the RTCP reports on which repair and synchronisation are based."""
