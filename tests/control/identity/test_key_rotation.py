"""Keys are rotated while people are signed in and in calls."""

from pathlib import Path

import pytest

from control.identity import keys
from control.identity.keys import Keys
from control.identity.sealing import Seal
from control.identity.tokens import Tokens


def admitted(reader: Keys, issuer: Keys) -> bool:
    """Return True if `reader` knows everything that `issuer` issues."""
    tokens, issued = Tokens(reader), Tokens(issuer)
    return (
        tokens.read_access(issued.access("ada", "s1", 1)) is not None
        and tokens.read_refresh(issued.refresh("s1", 1)) is not None
        and tokens.read_participant(issued.participant("p1", "m1")) is not None
        and tokens.csrf_matches("s1", issued.csrf("s1"))
        and tokens.link_matches("l", "file", 9, issued.link("l", "file", 9))
        and Seal(reader.derive("totp")).open("ada", Seal(issuer.derive("totp")).seal("ada", "secret")) == "secret"
        and issuer.kid in {key["kid"] for key in reader.public_jwks()}
    )


def test_nobody_is_signed_out_at_any_step_even_with_a_control_that_restarts_later(tmp_path: Path) -> None:
    first = keys.load(tmp_path, may_create=True)
    keys.add_next(tmp_path)
    added = keys.load(tmp_path, may_create=False)
    keys.use_next(tmp_path)
    used = keys.load(tmp_path, may_create=False)
    assert first.kid == added.kid != used.kid
    assert len({one.derive("x")[0] for one in (first, added, used)}) == 2
    for earlier, later in ((first, added), (added, used)):
        assert admitted(earlier, later)
        assert admitted(later, earlier)
    assert Tokens(used).mark("m1", "ada") == Tokens(first).mark("m1", "ada")
    assert Tokens(first).read_access(Tokens(used).access("ada", "s1", 1)) is None


def test_steps_come_in_order(tmp_path: Path) -> None:
    keys.load(tmp_path, may_create=True)
    with pytest.raises(ValueError, match="add them first"):
        keys.use_next(tmp_path)
    keys.add_next(tmp_path)
    with pytest.raises(ValueError, match="use them first"):
        keys.add_next(tmp_path)
    # An interrupted step is continued.
    (tmp_path / "join-token-key-next.pem").replace(tmp_path / "join-token-key.pem")
    keys.use_next(tmp_path)
    assert "next:" not in (tmp_path / "session-secret").read_text()
    with pytest.raises(ValueError, match="add them first"):
        keys.use_next(tmp_path)
    keys.add_next(tmp_path)
    (tmp_path / "join-token-key-next.pem").unlink()
    keys.add_next(tmp_path)
    assert (tmp_path / "session-secret").read_text().count("next:") == 1
