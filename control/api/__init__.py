"""REST under /api/v1. Handlers parse, decide and answer; SQL is in control.store, who may what is in control.auth.

Browsers sign in with cookies and send `X-CSRF-Token` (from the login answer or `GET /api/v1/csrf-token`) on unsafe
methods; everyone else logs in with `"mode": "token"` and sends `Authorization: Bearer`. Guests get a participant token
from `join`, used the same way. Errors are problem+json (RFC 9457) with a stable `code`.
"""
