"""Refusal of a WebSocket before it opens, with an HTTP status if the server can send one."""

from control.http.asgi import Scope, Send

_POLICY = 1008


async def refuse(scope: Scope, send: Send, status: int, reason: str, detail: str) -> None:
    """Answer the handshake with a status and a text; a server that cannot do this answers with 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": detail.encode()})
