"""A light WebRTC client for load: Python joins and does the handshakes; C receives, authenticates and sends feedback.

`joining` handles signaling, ICE and DTLS; `library` passes sockets and keys to `client.c`, which does the rest.
"""
