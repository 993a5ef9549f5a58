"""Smoothing: one picture decides nothing, seconds do, uncertainty is reported, and an absent face is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from inference.analysis.mood import EXPRESSIONS, STALE_MS, UNCERTAIN, Mood


def looking(name: str, sure: float = 0.9) -> list[float]:
    rest = (1 - sure) / (len(EXPRESSIONS) - 1)
    return [sure if one == name else rest for one in EXPRESSIONS]


def named(mood: Mood, at_ms: int) -> str | None:
    expression = mood.now(at_ms)
    return None if expression is None else expression.name


def test_a_name_needs_several_pictures() -> None:
    mood = Mood()
    assert named(mood, 0) is None
    for second, expected in enumerate((UNCERTAIN, UNCERTAIN, "happy", "happy")):
        mood.observe(second * 1000, looking("happy"))
        assert named(mood, second * 1000) == expected


def test_one_odd_picture_changes_nothing() -> None:
    mood = Mood()
    for second in range(6):
        mood.observe(second * 1000, looking("neutral"))
    mood.observe(6000, looking("angry", 1.0))
    assert named(mood, 6000) == "neutral"


def test_a_change_that_lasts_is_followed_through_doubt() -> None:
    mood = Mood()
    seen = []
    for second in range(14):
        mood.observe(second * 1000, looking("neutral" if second < 6 else "happy"))
        seen.append(named(mood, second * 1000))
    assert seen[5] == "neutral"
    assert UNCERTAIN in seen[6:10]
    assert seen[13] == "happy"


def test_what_classifiers_mistake_needs_a_clearer_lead() -> None:
    for name, expected in (("happy", "happy"), ("fearful", UNCERTAIN)):
        mood = Mood()
        for second in range(6):
            mood.observe(second * 1000, looking(name, 0.65))
        assert named(mood, 5000) == expected


def test_without_a_face_there_is_no_word_and_no_memory() -> None:
    mood = Mood()
    for second in range(5):
        mood.observe(second * 1000, looking("happy"))
    assert mood.now(4000 + STALE_MS + 1) is None
    mood.observe(30_000, looking("sad", 1.0))
    assert named(mood, 30_000) == UNCERTAIN


@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(EXPRESSIONS), st.floats(0.2, 1)), max_size=40))
def test_the_average_stays_a_distribution(pictures: list[tuple[int, str, float]]) -> None:
    mood = Mood()
    for at_ms, name, sure in sorted(pictures):
        mood.observe(at_ms, looking(name, sure))
        expression = mood.now(at_ms)
        assert expression is not None
        assert abs(sum(expression.probabilities) - 1) < 0.01
        assert min(expression.probabilities) >= 0
