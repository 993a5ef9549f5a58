"""Refusals: the reasons why a client's request was not carried out. The codes are part of the signaling protocol."""

from enum import StrEnum, auto

from sfu.api import signaling


class Code(StrEnum):
    """Stable codes of signaling `error` messages and of refused WHIP and WHEP requests."""

    BAD_TOKEN = auto()
    EXPIRED_TOKEN = auto()
    REPLAYED_TOKEN = auto()
    FOREIGN_TOKEN = auto()
    UNKNOWN_SESSION = auto()
    REPLACED = auto()
    LOCKED = auto()
    FULL = auto()
    REMOVED = auto()
    BANNED = auto()
    ENDED = auto()
    SHUTDOWN = auto()
    MOVED = auto()
    REASSIGNED = auto()
    CONSENT_REQUIRED = auto()
    NOT_READY = auto()
    UNSUPPORTED_VERSION = auto()
    BAD_MESSAGE = auto()
    MESSAGE_TOO_LARGE = auto()
    JOIN_TIMEOUT = auto()
    SLOW_CLIENT = auto()
    NOT_PERMITTED = auto()
    TOO_MANY_REQUESTS = auto()
    UNKNOWN_TRACK = auto()
    UNKNOWN_PARTICIPANT = auto()
    OFFER_REFUSED = auto()
    ANSWER_REFUSED = auto()
    PUBLISH_NOT_PERMITTED = auto()
    UNEXPECTED_ANSWER = auto()
    DATA_OVERFLOW = auto()
    CODEC_UNSUPPORTED = auto()
    TRANSPORTS_OFF = auto()


class Refused(Exception):
    """A request that is answered with an error; a fatal one ends the session."""

    def __init__(self, code: Code, detail: str, *, fatal: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.fatal = fatal

    def message(self) -> signaling.Error:
        """Return the signaling message that reports it."""
        return signaling.Error(code=self.code.value, detail=self.detail, fatal=self.fatal)
