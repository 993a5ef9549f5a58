"""A light WebRTC client for load: Python joins and shakes hands, C receives, authenticates and gives feedback.

`joining` speaks signaling, ICE and DTLS; `library` hands sockets and keys to `client.c`, which does the rest.
"""
