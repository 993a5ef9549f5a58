"""The second factor: RFC 6238's vectors, sign-in, and that no code works twice."""

import time

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.identity import totp
from control.identity.sealing import Seal, is_sealed
from tests.control.harness import PASSWORD, People

# RFC 6238, appendix B: SHA-1, the last six of its eight digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("at", "expected"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_vectors(at: int, expected: str) -> None:
    assert totp.code(SECRET, at // 30) == expected


def test_no_code_counts_twice_and_none_from_afar() -> None:
    now, step = 1_000_000.0, 1_000_000 // 30
    assert totp.matching_step(SECRET, totp.code(SECRET, step), now, 0) == step
    assert totp.matching_step(SECRET, totp.code(SECRET, step), now, step) is None
    assert totp.matching_step(SECRET, totp.code(SECRET, step - 1), now, 0) == step - 1
    assert totp.matching_step(SECRET, totp.code(SECRET, step + 2), now, 0) is None
    assert totp.matching_step(SECRET, "é", now, 0) is None


async def test_sign_in_with_a_second_factor(people: People) -> None:
    ada = await people.user("ada")
    secret = (await ada.ok("POST", "/api/v1/users/totp/begin"))["secret"]
    login = {"username": "ada", "password": PASSWORD, "mode": "token"}
    await people.nobody().ok("POST", "/api/v1/auth/login", login)  # not confirmed yet
    assert await ada.refused("POST", "/api/v1/users/totp/confirm", {"code": "000000"}) == (403, "wrong_code")
    step = int(time.time()) // 30
    codes = await ada.ok("POST", "/api/v1/users/totp/confirm", {"code": totp.code(secret, step)})
    sign_in = ("POST", "/api/v1/auth/login")
    assert await people.nobody().refused(*sign_in, login) == (401, "second_factor_required")
    assert await people.nobody().refused(*sign_in, {**login, "code": totp.code(secret, step)}) == (401, "wrong_code")
    await people.nobody().ok(*sign_in, {**login, "code": totp.code(secret, step + 1)})
    recovery = {**login, "code": codes["recovery_codes"][0]}
    await people.nobody().ok(*sign_in, recovery)
    assert await people.nobody().refused(*sign_in, recovery) == (401, "wrong_code")
    await ada.ok("DELETE", "/api/v1/users/totp")
    await people.nobody().ok(*sign_in, login)


@given(st.text(max_size=40), st.text(max_size=80))
def test_what_is_sealed_opens_for_its_subject_alone(subject: str, plain: str) -> None:
    seal, other = Seal([b"k" * 32]), Seal([b"o" * 32])
    stored = seal.seal(subject, plain)
    assert is_sealed(stored) and not is_sealed(totp.new_secret())
    assert seal.open(subject, stored) == plain
    for opener, whose, text in ((other, subject, stored), (seal, subject + "x", stored), (seal, subject, stored[:-4])):
        with pytest.raises(ValueError, match="sealed"):
            opener.open(whose, text)


async def test_secrets_are_sealed_in_the_database_and_older_ones_with_their_next_use(people: People, dsn: str) -> None:
    ada = await people.user("ada")
    connection = await asyncpg.connect(dsn)

    async def stored() -> str:
        return str(await connection.fetchval("SELECT totp_secret FROM users"))

    secret = (await ada.ok("POST", "/api/v1/users/totp/begin"))["secret"]
    assert secret not in await stored()
    step = int(time.time()) // 30
    given_codes = await ada.ok("POST", "/api/v1/users/totp/confirm", {"code": totp.code(secret, step)})

    await connection.execute("UPDATE users SET totp_secret = $1", secret)  # as an earlier release had it
    login = {"username": "ada", "password": PASSWORD, "mode": "token"}
    await people.nobody().ok("POST", "/api/v1/auth/login", {**login, "code": totp.code(secret, step + 1)})
    assert is_sealed(await stored())

    # With another session-secret a code is worth nothing; a recovery code still lets the account in.
    await connection.execute(
        "UPDATE users SET totp_secret = $1, totp_last_step = 0", Seal([b"x" * 32]).seal("y", secret)
    )
    code = {**login, "code": totp.code(secret, step)}
    assert await people.nobody().refused("POST", "/api/v1/auth/login", code) == (401, "wrong_code")
    await people.nobody().ok("POST", "/api/v1/auth/login", {**login, "code": given_codes["recovery_codes"][0]})
    await connection.close()
