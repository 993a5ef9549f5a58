"""Sounds that are not sent over a thin link."""

from sfu.machines.layers.sounds import Sound, spared

SECOND = 1_000_000_000
NOBODY: frozenset[str] = frozenset()


def sounds(*silent: float | None, rate: float = 54_000) -> list[tuple[str, Sound]]:
    return [
        (name, Sound(rate, None if seconds is None else int(seconds * SECOND)))
        for name, seconds in zip("abcdef", silent, strict=False)
    ]


def test_a_wide_link_carries_everybody() -> None:
    assert not spared(sounds(0, 60, 60, 60, 60, 60), 3_000_000, NOBODY)


def test_a_thin_link_is_spared_the_silent() -> None:
    assert spared(sounds(0, 60, 60, 2, 60, None), 500_000, NOBODY) == {"b", "c", "e"}


def test_who_speaks_comes_back() -> None:
    assert spared(sounds(0, 0.1, 60), 500_000, frozenset("bc")) == {"c"}


def test_silence_with_dtx_costs_nothing() -> None:
    assert not spared([*sounds(0, rate=110_000), ("d", Sound(2_000, 60 * SECOND))], 500_000, NOBODY)


def test_a_very_thin_link_carries_the_three_who_spoke_last() -> None:
    assert spared(sounds(0, 0.1, 0.2, 2, 1), 300_000, NOBODY) == {"d", "e"}
