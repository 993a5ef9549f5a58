"""Twirp services (twitchtv.github.io/twirp, version 7): methods by path, bodies by Content-Type, errors as JSON.

Callers present an access token; each method checks its grants. Refusals have the statuses and texts of LiveKit's
server, which the SDKs recognise.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from control.identity.livekit_tokens import AccessToken
from control.problem import Problem
from control.services import Services

PREFIX = "/twirp/livekit."
_JSON, _PROTOBUF = "application/json", "application/protobuf"
_STATUSES = {
    "invalid_argument": 400,
    "malformed": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "canceled": 408,
    "deadline_exceeded": 408,
    "aborted": 409,
    "not_found": 404,
    "bad_route": 404,
    "failed_precondition": 412,
    "resource_exhausted": 429,
    "internal": 500,
    "unimplemented": 501,
    "unavailable": 503,
}
_CODES = {400: "invalid_argument", 404: "not_found", 409: "failed_precondition", 429: "resource_exhausted"}


class TwirpError(Exception):
    """A refusal; `code` is one of Twirp's."""

    def __init__(self, code: str, text: str, meta: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.meta = dict(meta or {})

    @property
    def status(self) -> int:
        return _STATUSES[self.code]

    def body(self) -> bytes:
        document: dict[str, Any] = {"code": self.code, "msg": self.text}
        if self.meta:
            document["meta"] = self.meta
        return json.dumps(document).encode()


def of_problem(problem: Problem) -> TwirpError:
    """Return another module's Problem as a Twirp error."""
    return TwirpError(_CODES.get(problem.status, "unavailable"), problem.detail)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, with or without an access token."""

    services: Services
    token: AccessToken | None
    address: str

    @property
    def actor(self) -> str:
        """The actor for the audit log: the name of the API key, never a secret."""
        return f"livekit:{self.token.iss}" if self.token is not None else ""

    def grants(self, right: str) -> AccessToken:
        """Return the token if it grants a right that is not tied to a room; raises TwirpError."""
        if self.token is None or not getattr(self.token.video, right):
            raise denied()
        return self.token

    def sip(self, right: Literal["admin", "call"]) -> None:
        """Raise TwirpError unless the token grants a right to telephones."""
        if self.token is None or not getattr(self.token.sip, right):
            raise denied()

    def grants_in(self, right: str, room: str) -> AccessToken:
        """Return the token if it grants a right in a room; raises TwirpError."""
        token = self.grants(right)
        if token.video.room != room:
            raise denied()
        return token


def denied() -> TwirpError:
    return TwirpError("unauthenticated", "permissions denied")


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service: the message that it takes, and its handler."""

    takes: type[Message]
    answer: Callable[[Caller, Any], Awaitable[Message]]


Service = Mapping[str, Method]
"""Methods by name."""


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of an HTTP request that Twirp uses."""

    verb: str
    path: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a response with HTTP status 200."""

    body: bytes
    content_type: str


async def serve(services: Mapping[str, Service], caller: Caller, call: Call) -> Answer:
    """Answer a call; raises TwirpError, or KeyError if there is no such service."""
    name, _, method_name = call.path.removeprefix(PREFIX).partition("/")
    service = services[name]
    route = {"twirp_invalid_route": f"{call.verb} {call.path}"}
    if call.verb != "POST":
        raise TwirpError("bad_route", f'unsupported method "{call.verb}" (only POST is allowed)', route)
    method = service.get(method_name)
    if method is None:
        raise TwirpError("bad_route", f'no handler for path "{call.path}"', route)
    kind = call.content_type.partition(";")[0].strip().lower()
    if kind not in (_JSON, _PROTOBUF):
        raise TwirpError("bad_route", f'unexpected Content-Type: "{call.content_type}"', route)
    asked = _read(method.takes, kind, call.body)
    try:
        answer = await method.answer(caller, asked)
    except Problem as problem:
        raise of_problem(problem) from problem
    return Answer(_write(answer, kind), kind)


def _read(takes: type[Message], kind: str, body: bytes) -> Message:
    message = takes()
    try:
        if kind == _PROTOBUF:
            message.ParseFromString(body)
        else:
            json_format.Parse(body, message, ignore_unknown_fields=True, max_recursion_depth=32)
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        encoding = "protobuf" if kind == _PROTOBUF else "json"
        raise TwirpError("malformed", f"the {encoding} request could not be decoded") from error
    return message


def _write(answer: Message, kind: str) -> bytes:
    if kind == _PROTOBUF:
        return answer.SerializeToString()
    text = json_format.MessageToJson(
        answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
    )
    return text.encode()


def unimplemented(reason: str) -> Callable[[Caller, Any], Awaitable[Message]]:
    """Return the handler of a method that does not exist here; it answers with the reason."""

    async def refuse(_: Caller, __: Any) -> Message:
        raise TwirpError("unimplemented", reason)

    return refuse
