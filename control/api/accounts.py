"""Accounts: registration, signing in and out, profile, password, the first administrator."""

from quart import Response

from control import first_admin
from control.api import account_mail, addresses, second_factor
from control.api.sign_in_types import (
    BrowserSession,
    ChangePassword,
    CsrfToken,
    Login,
    Refresh,
    Register,
    ServerInfo,
    Setup,
    SignedIn,
    Unconfirmed,
    UpdateProfile,
    User,
)
from control.api.signing_in import Mode, check_may_sign_in, cookie_names, public_user, sign_in, signed_in
from control.api.types import Done
from control.auth import cookies, devices
from control.auth.access import Access, sign_in_required
from control.auth.principal import check_origin
from control.database import Connection
from control.endpoint import Call, Endpoints, answer
from control.http.limits import OFFICE, Failures
from control.meetings.settings import defaults
from control.problem import Problem, forbidden
from control.release import release
from control.store import account_tokens, audit, invitations, outbox, sessions, users
from control.store.users import UserRow

accounts = Endpoints("accounts")
_WINDOW = 15 * 60


@accounts.route("GET", "/api/v1/server", Access.PUBLIC, answer=ServerInfo)
async def get_server(call: Call) -> ServerInfo:
    """Return the properties of this server that a client needs before sign-in."""
    async with call.services.pool.acquire() as connection:
        exists = await users.any_exists(connection)
    config = call.services.config
    https = next((int(bind.rpartition(":")[2]) for bind in config.https_binds), None)
    return ServerInfo(
        version=release(),
        registration=config.registration,
        guests=config.guests,
        recording=config.recording,
        meeting_defaults=defaults(config),
        setup_needed=not exists,
        https_port=https,
        identity_providers=tuple(provider.name for provider in config.oidc),
        mail=call.services.mail.configured,
    )


@accounts.route("POST", "/api/v1/setup", Access.PUBLIC, body=Setup, answer=SignedIn, status=201)
async def set_up(call: Call, body: Setup) -> Response:
    """Create the first administrator with the one-time token, and sign in."""
    await call.services.limits.spend("setup", call.network, 20, _WINDOW)
    password_hash = await call.services.passwords.hash(body.password)
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await first_admin.redeem(connection, body.token):
            raise Problem(403, "setup_token", "The link is invalid: it was already used or belongs to another server.")
        user = await users.create(
            connection,
            username=body.username,
            email=body.email,
            display_name=body.display_name or body.username,
            password_hash=password_hash,
            role="admin",
        )
        await audit.write(connection, user.id, "setup", user.id, call.address)
        response = await sign_in(call, connection, user, body.mode, 201)
    first_admin.link_file(call.services.config).unlink(missing_ok=True)
    return response


@accounts.route(
    "POST",
    "/api/v1/auth/register",
    Access.PUBLIC,
    body=Register,
    answer=SignedIn,
    status=201,
    others={202: Unconfirmed},
)
async def register(call: Call, body: Register) -> Response:
    """Create an account, if the server's policy allows it, and sign in.

    If registration depends on the e-mail address, the address must be confirmed before sign-in: the response is 202,
    and a mail is sent.
    """
    config = call.services.config
    await call.services.limits.spend("register", call.network, OFFICE, _WINDOW)
    if config.registration == "closed":
        raise Problem(403, "registration_closed", "Registration is closed on this server.")
    if config.registration == "domain":
        domain = (body.email or "").rpartition("@")[2].casefold()
        if domain not in {allowed.casefold() for allowed in config.registration_domains}:
            raise Problem(403, "registration_domain", "An e-mail address of this organisation is required.")
    password_hash = await call.services.passwords.hash(body.password)
    async with call.services.pool.acquire() as connection, connection.transaction():
        if config.registration == "invite" and not await invitations.use(connection, body.invitation or "", body.email):
            raise Problem(403, "invitation", "A valid invitation is required.")
        user = await users.create(
            connection,
            username=body.username,
            email=body.email,
            display_name=body.display_name or body.username,
            password_hash=password_hash,
            must_confirm=config.registration == "domain",
        )
        await outbox.append_for_user(connection, user.id, "user.registered", {"user": user.id})
        if user.must_confirm and user.email is not None:
            await account_mail.confirm(call, connection, user, user.email)
            return answer(Unconfirmed(email=user.email), 202)
        return await sign_in(call, connection, user, body.mode, 201)


@accounts.route("POST", "/api/v1/auth/login", Access.PUBLIC, body=Login, answer=SignedIn)
async def log_in(call: Call, body: Login) -> Response:
    """Sign in with user name or e-mail address.

    Failed attempts count per network address, per account and address, and per account. A browser that the account has
    signed in from before is counted separately, so that strangers cannot lock it out.
    """
    async with call.services.pool.acquire() as connection:
        user = await users.by_login(connection, body.username)
    stored = user.password_hash if user is not None else None
    failures = _failures(call, users.key(body.username) if user is None else user.id)
    right = await call.services.limits.guess(failures, lambda: call.services.passwords.verify(stored, body.password))
    if not right or user is None:
        raise Problem(401, "wrong_credentials", "The user name or password is wrong.")
    if user.must_confirm:
        await _confirm_again(call, user)
    check_may_sign_in(user)
    async with call.services.pool.acquire() as connection, connection.transaction():
        strong = await second_factor.check(call, connection, user, body.code)
        if call.services.passwords.needs_rehash(user.password_hash):
            stronger = await call.services.passwords.hash(body.password)
            await users.rehash(connection, user.id, user.password_hash, stronger)
        return await sign_in(call, connection, user, body.mode, strong=strong)


@accounts.route("POST", "/api/v1/auth/refresh", Access.PUBLIC, body=Refresh, answer=SignedIn)
async def refresh(call: Call, body: Refresh) -> Response:
    """Exchange the refresh token for new tokens. Reusing an exchanged token ends its session."""
    mode: Mode = "cookie" if body.refresh_token is None else "token"
    given = body.refresh_token or _refresh_cookie(call)
    token = call.services.tokens.read_refresh(given)
    if token is None:
        raise sign_in_required()
    async with call.services.pool.acquire() as connection:
        async with connection.transaction():
            rotation = await sessions.rotate(connection, token.session, token.generation)
            if rotation.outcome == "reused":
                await audit.write(connection, None, "refresh_reused", token.session, call.address)
        if rotation.outcome == "reused":
            raise Problem(401, "refresh_reused", "This refresh token was already used. The session has been ended.")
        if rotation.session is None:
            raise sign_in_required()
        user = await users.by_id(connection, rotation.session.user)
    assert user is not None
    strong = rotation.session.strong
    return signed_in(call, user, token.session, rotation.generation, mode=mode, strong=strong)


@accounts.route("POST", "/api/v1/auth/logout", Access.ANYONE, answer=Done)
async def log_out(call: Call) -> Response:
    """End the session and clear its cookies."""
    session = None
    if call.principal is not None and call.principal.user is not None:
        session = call.principal.user.session
    elif call.principal is None and (cookie := _refresh_cookie(call)):
        token = call.services.tokens.read_refresh(cookie)
        session = None if token is None else token.session
    if session is not None:
        async with call.services.pool.acquire() as connection:
            await sessions.revoke(connection, session)
    response = answer(Done())
    cookies.clear_session(response, cookie_names(call))
    return response


@accounts.route("GET", "/api/v1/csrf-token", Access.ANYONE, answer=CsrfToken)
async def get_csrf_token(call: Call) -> CsrfToken:
    """Return the X-CSRF-Token of the browser's session, even if its access token has expired."""
    token = await _csrf_token(call)
    if token is None:
        raise sign_in_required()
    return CsrfToken(csrf_token=token)


@accounts.route("GET", "/api/v1/auth/session", Access.ANYONE, answer=BrowserSession)
async def get_session(call: Call) -> BrowserSession:
    """Return the browser's session: its account, and the X-CSRF-Token even if its access token has expired."""
    token = await _csrf_token(call)
    if call.principal is None or call.principal.user is None:
        return BrowserSession(user=None, csrf_token=token)
    async with call.services.pool.acquire() as connection:
        return BrowserSession(user=await _profile(call, connection), csrf_token=token)


async def _csrf_token(call: Call) -> str | None:
    if call.principal is not None and call.principal.user is not None:
        return call.services.tokens.csrf(call.principal.user.session)
    token = call.services.tokens.read_refresh(call.request.cookies.get(cookie_names(call).refresh, ""))
    if token is None:
        return None
    async with call.services.pool.acquire() as connection:
        live = await sessions.live(connection, token.session)
    return None if live is None else call.services.tokens.csrf(live.session)


@accounts.route("GET", "/api/v1/users/profile", Access.USER, answer=User)
async def get_profile(call: Call) -> User:
    """Return the signed-in account."""
    async with call.services.pool.acquire() as connection:
        return await _profile(call, connection)


@accounts.route("PUT", "/api/v1/users/profile", Access.USER, body=UpdateProfile, answer=User)
async def update_profile(call: Call, body: UpdateProfile) -> User:
    """Change the given fields. A new address is `email_pending` until the link mailed to it is opened."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_id(connection, call.user.user)
        if user is None:
            raise sign_in_required()
        if isinstance(body.email, str | None):
            await addresses.change(call, connection, user, body.email)
        if isinstance(body.display_name, str):
            await users.rename(connection, user.id, body.display_name)
        return await _profile(call, connection)


@accounts.route("POST", "/api/v1/users/change-password", Access.USER, body=ChangePassword, answer=SignedIn, proof=True)
async def change_password(call: Call, body: ChangePassword) -> Response:
    """Change the password. All other sessions and all API keys end; this session is replaced by a new one."""
    await call.services.limits.spend("change-password", call.user.user, 10, _WINDOW)
    async with call.services.pool.acquire() as connection:
        user = await users.by_id(connection, call.user.user)
    if user is None:
        raise sign_in_required()
    if body.current_password is not None and not await call.services.passwords.verify(
        user.password_hash, body.current_password
    ):
        raise forbidden("The current password is wrong.")
    password_hash = await call.services.passwords.hash(body.new_password)
    mode: Mode = "cookie" if call.principal is not None and call.principal.via == "cookie" else "token"
    async with call.services.pool.acquire() as connection, connection.transaction():
        await users.set_password(connection, user.id, password_hash)
        await audit.write(connection, user.id, "change_password", user.id, call.address)
        changed = await users.by_id(connection, user.id)
        assert changed is not None
        return await sign_in(call, connection, changed, mode, strong=call.user.strong)


def _failures(call: Call, account: str) -> list[Failures]:
    """Return the limits that count failed attempts to sign in to an account."""
    device = devices.known(call.services, call.request, account)
    if device is not None:
        return [Failures("login-device", f"{account}:{device.id}", 10, _WINDOW)]
    return [
        Failures("login-address", call.network, call.services.config.limits.sign_in_failures, _WINDOW),
        Failures("login-from", f"{account}:{call.network}", 10, _WINDOW),
        Failures("login-account", account, 100, _WINDOW),
    ]


async def _confirm_again(call: Call, user: UserRow) -> None:
    """Mail another link to an account whose password is known but whose address is unconfirmed."""
    await call.services.limits.spend("verify", user.id, 5, _WINDOW)
    if user.email is None:
        return
    async with call.services.pool.acquire() as connection, connection.transaction():
        await account_mail.confirm(call, connection, user, user.email)


async def _profile(call: Call, connection: Connection) -> User:
    """Return the signed-in account with its pending address."""
    user = await users.by_id(connection, call.user.user)
    if user is None:
        raise sign_in_required()
    return public_user(user, await account_tokens.pending_email(connection, user.id))


def _refresh_cookie(call: Call) -> str:
    """Return the refresh cookie of a request from this server's own page; "" without one."""
    given = call.request.cookies.get(cookie_names(call).refresh, "")
    if given:
        check_origin(call.services, call.request, required=True)
    return given
