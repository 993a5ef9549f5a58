"""The second factor: RFC 6238's vectors, sign-in with it, no code twice."""

import time

import pytest

from control import totp
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
