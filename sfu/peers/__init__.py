"""Peers: one ICE, DTLS and SRTP association each, and what is published and subscribed over it."""
