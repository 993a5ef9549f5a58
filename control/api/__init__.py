"""REST API under /api/v1. Handlers parse, decide and answer; SQL is in control.store, authorization in control.auth.

Browsers sign in with cookies and send `X-CSRF-Token` (from the login response or `GET /api/v1/csrf-token`) with unsafe
methods; all other clients sign in with `"mode": "token"` and send `Authorization: Bearer`. Guests get a participant
token from `join`, used the same way. Errors are problem+json (RFC 9457) with a stable `code`.
"""
