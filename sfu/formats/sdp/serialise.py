"""`SessionDescription` to text."""

from sfu.formats.sdp.description import Candidate, SessionDescription


def candidate_line(candidate: Candidate) -> str:
    """Return the candidate-attribute's value, without "a=" (RFC 8839, section 5.1)."""
    raise ValueError(candidate)


def serialise(description: SessionDescription) -> str:
    """Return the text, lines ended by CRLF."""
    raise ValueError(description)
