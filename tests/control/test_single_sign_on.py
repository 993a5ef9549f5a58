"""Signing in at a real OpenID Connect provider, and attempts that must fail."""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from control.api.single_sign_on import _own_path, _signed_in_at
from control.config import ControlConfig, OidcProvider
from control.identity import oidc
from control.problem import Problem
from tests.control.harness import PASSWORD, People, Server, serving
from tests.support.waiting import until_listening


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The provider of `oidc-provider-mock`: real codes, keys and PKCE; its sign-in page takes any name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = tempfile.mkdtemp(prefix="po")
    program = str(Path(sys.executable).with_name("oidc-provider-mock"))
    process = subprocess.Popen(
        [program, "--port", str(port)], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until_listening(process, port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
    shutil.rmtree(directory)


@pytest_asyncio.fixture
async def server(config: ControlConfig, issuer: str) -> AsyncIterator[Server]:
    provider = OidcProvider(
        name="corp",
        issuer=issuer,
        client_id="parley",
        client_secret="s",
        allowed_groups=("staff", "chiefs"),
        admin_group="chiefs",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    changed = replace(
        config, oidc=(provider,), public_origins=(origin,), http_binds=(f"127.0.0.1:{port}",), registration="closed"
    )
    async with serving(changed) as running:
        yield running


def browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def describe(session: aiohttp.ClientSession, issuer: str, subject: str, **claims: Any) -> None:
    async with session.put(f"{issuer}/users/{subject}", json=claims) as answer:
        assert answer.status < 300, await answer.text()


async def sign_in(session: aiohttp.ClientSession, server: Server, subject: str) -> aiohttp.ClientResponse:
    """Go to the provider, give a name there, and come back; returns the callback's answer."""
    start = f"{server.url}/api/v1/auth/oidc/corp/start?return_to=/m/abcd"
    async with session.get(start, allow_redirects=False) as answer:
        assert answer.status == 302
        there = answer.headers["Location"]
    query = parse_qs(urlsplit(there).query)
    assert query["code_challenge_method"] == ["S256"] and len(query["state"][0]) > 20
    async with session.post(there, data={"sub": subject}, allow_redirects=False) as answer:
        back = answer.headers["Location"]
    assert back.startswith(f"{server.url}/api/v1/auth/oidc/corp/callback?")
    return await session.get(back, allow_redirects=False)


async def test_groups_make_members_and_administrators(server: Server, issuer: str) -> None:
    async with browser() as session:
        await describe(
            session,
            issuer,
            "u1",
            groups=["staff"],
            email="ada@corp.example",
            email_verified=True,
            preferred_username="ada",
            name="Ada L",
        )
        answer = await sign_in(session, server, "u1")
        assert (answer.status, answer.headers["Location"]) == (302, "/m/abcd")
        async with session.get(f"{server.url}/api/v1/users/profile") as profile:
            me = await profile.json()
        assert (me["username"], me["display_name"], me["role"], me["email_verified"]) == ("ada", "Ada L", "user", True)
        await describe(session, issuer, "u1", groups=["chiefs"])
        await sign_in(session, server, "u1")
        async with session.get(f"{server.url}/api/v1/users/profile") as profile:
            again = await profile.json()
        assert (again["id"], again["role"]) == (me["id"], "admin")
        await describe(session, issuer, "u2", groups=["others"])
        answer = await sign_in(session, server, "u2")
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")


async def test_the_provider_proves_who_is_signed_in(server: Server, issuer: str) -> None:
    start = f"{server.url}/api/v1/auth/oidc/corp/start?return_to=/account"
    async with browser() as session:
        for query, expected in (("", None), ("&prove=true", ["300"])):
            async with session.get(start + query, allow_redirects=False) as answer:
                assert parse_qs(urlsplit(answer.headers["Location"]).query).get("max_age") == expected
        await describe(session, issuer, "u1", groups=["staff"], preferred_username="ada@corp.example")
        await sign_in(session, server, "u1")
        async with session.get(f"{server.url}/api/v1/users/proof") as proof:
            told = await proof.json()
        assert told == {
            "needed": False,
            "password": False,
            "code": False,
            "passkey": False,
            "identity_providers": ["corp"],
        }
        async with session.get(f"{server.url}/api/v1/users/profile") as profile:
            assert (await profile.json())["username"] == "ada"  # a name is no address


@pytest.mark.parametrize("told", [None, "1700000000", 1e300, float("nan"), -1e300, [1]])
def test_what_is_no_time_is_no_time_of_signing_in(told: Any) -> None:
    assert _signed_in_at({"auth_time": told}) is None
    assert _signed_in_at({"auth_time": 1_700_000_000}) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


async def test_an_unconfirmed_address_takes_over_no_account(server: Server, issuer: str) -> None:
    async with browser() as session:
        token = (server.config.data_dir / "first-admin-link").read_text().strip().partition("token=")[2]
        body = {"token": token, "username": "root", "password": PASSWORD, "email": "root@corp.example"}
        nobody = People(session, server).nobody()
        root = (await nobody.ok("POST", "/api/v1/setup", {**body, "mode": "token"}))["user"]["id"]
        for verified in (False, True):
            subject = f"evil-{verified}"
            await describe(
                session, issuer, subject, groups=["staff"], email="root@corp.example", email_verified=verified
            )
            assert (await sign_in(session, server, subject)).status == 302
            async with session.get(f"{server.url}/api/v1/users/profile") as profile:
                assert (await profile.json())["id"] != root


async def test_a_callback_that_was_not_begun_here_is_refused(server: Server, issuer: str) -> None:
    async with browser() as session, browser() as other:
        await describe(session, issuer, "u1", groups=["staff"])
        start = f"{server.url}/api/v1/auth/oidc/corp/start"
        async with session.get(start, allow_redirects=False) as answer:
            there = answer.headers["Location"]
        async with session.post(there, data={"sub": "u1"}, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        async with other.get(back, allow_redirects=False) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "oidc_state")
        forged = re.sub(r"state=[^&]+", "state=x", back)
        async with session.get(forged, allow_redirects=False) as answer:
            assert answer.status == 403
        async with session.get(back, allow_redirects=False) as answer:
            assert answer.status == 302
        async with session.get(back, allow_redirects=False) as answer:
            assert answer.status == 403


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"nonce": "another"},
        {"exp": 1},
        {"azp": "another"},
        {"aud": ["parley", "another"]},  # section 3.1.3.7: then azp says for whom it is
        {"aud": ["parley", "another"], "azp": "another"},
        {"sub": None},
        {"alg": "none"},
        {"alg": "HS256"},
        {"key": "another"},
    ],
)
async def test_tokens_that_do_not_hold(change: dict[str, Any]) -> None:
    """Checks of a provider's answer, token by token."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    provider = OidcProvider(name="p", issuer="https://issuer.example", client_id="parley", client_secret="s")
    attempt = oidc.new_attempt("p", "/")
    published = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k", "alg": "ES256"}
    async with aiohttp.ClientSession() as session:
        client = oidc.OidcClient(provider, "https://us.example/callback", session)
        client._keys = time.monotonic(), jwt.PyJWKSet.from_dict({"keys": [published]})
        discovery = oidc._Discovery(provider.issuer, "", "", "")
        claims = {
            "iss": provider.issuer,
            "aud": "parley",
            "sub": "u",
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            "nonce": attempt.nonce,
        }
        good = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k"})
        assert (await client._verified(good, discovery, attempt))["sub"] == "u"
        both = jwt.encode(
            claims | {"aud": ["parley", "another"], "azp": "parley"}, key, algorithm="ES256", headers={"kid": "k"}
        )
        assert (await client._verified(both, discovery, attempt))["sub"] == "u"
        bad = {name: value for name, value in (claims | change).items() if value is not None}
        algorithm = bad.pop("alg", "ES256")
        secret: Any = {"none": None, "HS256": "x" * 32}.get(algorithm, other if bad.pop("key", None) else key)
        with pytest.raises(Problem) as caught:
            await client._verified(
                jwt.encode(bad, secret, algorithm=algorithm, headers={"kid": "k"}), discovery, attempt
            )
        assert caught.value.code == "oidc_token"


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a b", "/\r\nX: y", "javascript:x"]
)
def test_no_open_redirect(path: str) -> None:
    assert _own_path(path) == "/"
    assert _own_path("/m/abcd?x=1#y") == "/m/abcd?x=1#y"
