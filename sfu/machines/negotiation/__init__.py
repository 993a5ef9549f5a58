"""Offer/answer negotiation (RFC 9429): publishing, subscribing, WHIP and WHEP."""
