"""A session with the server's REST API, by a bearer token and without cookies: `Api.rest` has every operation.

An access token is valid for some minutes. After signing in, `Api` keeps a refresh token and exchanges it when a request
finds that the access token has expired; callers need not know.
"""

import asyncio
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urljoin

import aiohttp
import msgspec
from yarl import URL

from parley_client.rest import Query, Rest
from sfu.api.signaling_values import IceServer


class ApiError(Exception):
    """A refusal (RFC 9457 problem): HTTP status, stable code, and a sentence."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """An admission to a meeting: the result of `join`."""

    token: str
    signaling_url: str
    participant: str
    rejoin_secret: str
    ice_servers: list[IceServer] = []
    whip_url: str = "/whip"
    whep_url: str = "/whep"


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """An admission of an application's user: the result of `admit`.

    `token` is the `admission_token` of `Api.join`, here or in the user's program.
    """

    token: str
    participant: str
    identity: str
    expires_at: datetime
    join_url: str
    page_url: str


class _Request(NamedTuple):
    """A request: a JSON body, or the content of a file."""

    method: str
    path: str
    body: Any = None
    query: Query | None = None
    content: bytes | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """Return the query parameters without absent values; booleans are written as in JSON."""
        given = {name: value for name, value in (self.query or {}).items() if value is not None}
        return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


class Api:
    """A session with one server at `base`, for example http://localhost:8800; an async context manager."""

    def __init__(self, base: str, *, bearer: str | None = None, verify_tls: bool = True) -> None:
        """`bearer` is an API key or a participant token; signing in replaces it."""
        self.base = base.rstrip("/")
        self._token = bearer
        self._refresh_token: str | None = None
        self._refreshing = asyncio.Lock()
        self._verify_tls = verify_tls
        self._session: aiohttp.ClientSession | None = None
        self.rest = Rest(self)
        """Typed methods for every operation of the REST API."""

    async def __aenter__(self) -> "Api":
        connector = aiohttp.TCPConnector(ssl=self._verify_tls)
        # A bearer client keeps no cookies: the server refuses both at once.
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    @property
    def bearer(self) -> str | None:
        """The current access token, API key or participant token."""
        return self._token

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON response of /api/v1`path`, None for an empty one; raises ApiError for a refusal."""
        return await self.request_json(method, f"/api/v1{path}", body=body)

    async def download(self, path: str) -> bytes:
        """Return the bytes of /api/v1`path`; raises ApiError for a refusal."""
        return await self.request_bytes("GET", f"/api/v1{path}")

    async def request_json(
        self, method: str, path: str, *, body: Any = None, query: Query | None = None, content: bytes | None = None
    ) -> Any:
        """Return the JSON response to a request, None if it is empty; raises ApiError for an error response."""
        data, is_json = await self._signed_in(_Request(method, path, body, query, content))
        return msgspec.json.decode(data) if data and is_json else None

    async def request_bytes(
        self, method: str, path: str, *, body: Any = None, query: Query | None = None, content: bytes | None = None
    ) -> bytes:
        """Return the body of the response to a request; raises ApiError for an error response."""
        data, _ = await self._signed_in(_Request(method, path, body, query, content))
        return data

    async def _signed_in(self, request: "_Request") -> tuple[bytes, bool]:
        """Send a request; if the access token has expired, send it once more with a new one."""
        token = self._token
        try:
            return await self._send(request, token)
        except ApiError as error:
            if error.status != 401 or not await self._refreshed(token):
                raise
        return await self._send(request, self._token)

    async def _refreshed(self, token: str | None) -> bool:
        """Return True if the refused access token was replaced; of concurrent requests, only one renews it."""
        async with self._refreshing:
            if self._token == token and self._refresh_token is not None:
                try:
                    await self._sign_in("/auth/refresh", {"refresh_token": self._refresh_token})
                except ApiError:  # the session has ended; the refusal of the request itself is more useful
                    self._refresh_token = None
            return self._token != token

    async def _send(self, request: "_Request", token: str | None) -> tuple[bytes, bool]:
        """Return the body of the response, and whether it is JSON; raises ApiError for a refusal."""
        if self._session is None:
            raise RuntimeError("Api is an async context manager: use `async with`")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if request.content is not None:
            headers["Content-Type"] = "application/octet-stream"
        async with self._session.request(
            request.method,
            URL(self.base + request.path, encoded=True),
            params=request.parameters,
            json=request.body,
            data=request.content,
            headers=headers,
        ) as answer:
            data, is_json = await answer.read(), "json" in answer.content_type
            if answer.status >= 400:
                raise _refusal(answer.status, data, is_json=is_json)
            return data, is_json

    async def _sign_in(self, path: str, body: dict[str, str]) -> None:
        data, _ = await self._send(_Request("POST", f"/api/v1{path}", body), None)
        answer = msgspec.json.decode(data)
        self._token, self._refresh_token = answer["access_token"], answer["refresh_token"]

    async def set_up(self, token: str, username: str, password: str) -> None:
        """Create the first administrator with the one-time token, and sign in."""
        account = {"username": username, "password": password, "mode": "token"}
        await self._sign_in("/setup", {"token": token, **account})

    async def register(self, username: str, password: str) -> None:
        """Register and sign in."""
        await self._sign_in("/auth/register", {"username": username, "password": password, "mode": "token"})

    async def login(self, username: str, password: str) -> None:
        """Sign in."""
        await self._sign_in("/auth/login", {"username": username, "password": password, "mode": "token"})

    async def create_meeting(self, title: str, **settings: Any) -> str:
        """Create a meeting and return its id; `settings` are its settings by name."""
        answer = await self.request("POST", "/meetings", {"title": title, "settings": settings})
        return str(answer["id"])

    async def admit(
        self,
        meeting: str,
        identity: str,
        name: str,
        *,
        role: str = "participant",
        metadata: str | None = None,
        ttl: int = 6 * 3600,
    ) -> Admission:
        """Return a token with which a user of an application joins without an account.

        `identity` is the application's own id of the user, `role` is co-host, participant or viewer, and the token is
        valid for `ttl` seconds. An API key needs the scope admissions:write.
        """
        body = {"identity": identity, "name": name, "role": role, "metadata": metadata, "ttl": ttl}
        return msgspec.convert(await self.request("POST", f"/meetings/{meeting}/admissions", body), Admission)

    async def join(self, meeting: str, name: str | None = None, **fields: Any) -> Joined:
        """Join a meeting, as a guest if not signed in; `fields`: passcode, rejoin_secret, admission_token.

        If the meeting has a lobby, this returns when a host admits the caller, and raises ApiError (403 `denied`)
        otherwise.
        """
        body = {key: value for key, value in (fields | {"name": name}).items() if value is not None}
        answer = await self.request("POST", f"/meetings/{meeting}/join", body)
        while "lobby_ticket" in answer:  # it proves that the passcode was correct
            await asyncio.sleep(answer["retry_seconds"])
            again = {"name": name, "lobby_ticket": answer["lobby_ticket"]}
            answer = await self.request("POST", f"/meetings/{meeting}/join", again)
        return msgspec.convert(answer, Joined)

    async def join_admitted(self, meeting: str, admission: Admission, name: str) -> Joined:
        """Join with an admission, as its identity instead of as the caller."""
        body = {"name": name, "admission_token": admission.token}
        data, _ = await self._send(_Request("POST", f"/api/v1/meetings/{meeting}/join", body), None)
        return msgspec.json.decode(data, type=Joined)

    def signaling_url(self, joined: Joined) -> str:
        """Return the absolute WebSocket URL of an admission."""
        return "ws" + urljoin(self.base, joined.signaling_url).removeprefix("http")

    async def start_recording(self, meeting: str) -> Any:
        """Start recording and return the response."""
        return await self.request("POST", f"/meetings/{meeting}/recording/start")

    async def stop_recording(self, meeting: str) -> Any:
        """Stop recording and return the response."""
        return await self.request("POST", f"/meetings/{meeting}/recording/stop")

    async def recordings(self, meeting: str) -> Any:
        """Return the recordings of a meeting."""
        return await self.request("GET", f"/meetings/{meeting}/recordings")


def _refusal(status: int, data: bytes, *, is_json: bool) -> ApiError:
    problem = msgspec.json.decode(data) if data and is_json else {}
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(status, problem.get("code", ""), problem.get("detail", data.decode(errors="replace")))
