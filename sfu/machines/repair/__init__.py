"""Repair of loss, and the reports (RTCP) that it and synchronisation rest on."""
