"""Repair of loss, and the RTCP reports on which it and synchronisation are based."""
