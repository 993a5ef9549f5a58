"""Only a header with the exact secret is accepted, whatever bytes others send."""

import pytest

from foundation.node_secret import carries_node_secret


@pytest.mark.parametrize(
    ("authorization", "secret", "expected"),
    [
        ("Bearer s3cret", "s3cret", True),
        ("Bearer schlüssel", "schlüssel", True),
        ("Bearer s3cre", "s3cret", False),
        ("s3cret", "s3cret", False),
        ("", "s3cret", False),
        ("Bearer \udcff", "s3cret", False),  # a byte that is no UTF-8, as HTTP servers hand it on
        ("Bearer ", "", False),
    ],
)
def test_the_header_must_carry_the_secret(authorization: str, secret: str, expected: bool) -> None:
    assert carries_node_secret(authorization, secret) is expected
