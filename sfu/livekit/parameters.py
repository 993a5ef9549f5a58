"""Parameters of a connection, from the query of its request."""

from typing import NamedTuple
from urllib.parse import parse_qs

MAX_QUERY_BYTES = 16_384

PATHS = ("/rtc", "/rtc/")
VALIDATION_PATHS = ("/rtc/validate", "/rtc/validate/")


class Parameters(NamedTuple):
    """`reconnect`: the client goes on with the session that it lost. `takes_all`: it wants every track."""

    token: str
    reconnect: bool = False
    takes_all: bool = True


def read(query: str, authorization: str = "") -> Parameters:
    """Return the parameters of a query; the token may come as a bearer instead. ValueError if it is too long."""
    if len(query) > MAX_QUERY_BYTES:
        raise ValueError("the query is too long")
    said = {name: values[-1] for name, values in parse_qs(query, max_num_fields=64).items()}
    scheme, _, bearer = authorization.partition(" ")
    token = said.get("access_token") or (bearer.strip() if scheme.lower() == "bearer" else "")
    return Parameters(token, said.get("reconnect") in _TRUE, said.get("auto_subscribe", "1") in _TRUE)


_TRUE = ("1", "true")
