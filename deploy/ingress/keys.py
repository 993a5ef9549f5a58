"""The check of stream keys, for all listeners."""

from foundation.control_requests import ControlUnavailable
from ingress import metrics
from ingress.control_client import ControlClient
from sfu.api.ingress import KeyCheck
from sfu.api.stream_key import is_stream_key, key_hash


class Refused(Exception):
    """A refusal with the reason for the encoder; `again`: a later attempt may succeed."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


async def admit(control: ControlClient, instance: str, key: str) -> str:
    """Return the id of the stream to which a key belongs. Raises Refused."""
    if not is_stream_key(key):
        metrics.REFUSED.labels("bad_token").inc()
        raise Refused("This is not a stream key.")
    try:
        checked = await control.check(KeyCheck(key_hash=key_hash(key).hex(), instance=instance))
    except ControlUnavailable as error:
        raise Refused(str(error), again=True) from error
    if checked.code:
        metrics.REFUSED.labels(checked.code).inc()
        raise Refused(checked.detail)
    return checked.stream
