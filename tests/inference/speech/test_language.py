"""The language of a participant: decided after four seconds, kept, switched on repeated evidence."""

from inference.speech.language import LanguageTracker


def test_nothing_is_decided_before_four_seconds() -> None:
    tracker = LanguageTracker()
    tracker.observe("cy", 0.6, 1.0)
    assert (tracker.language, tracker.prior(2)) == (None, None)
    tracker.observe("en", 0.9, 3.5)
    assert tracker.language == "en"


def test_the_meetings_list_weighs() -> None:
    tracker = LanguageTracker(("en", "es"))
    assert tracker.prior(1) == {"en": 1.0, "es": 1.0, "": 0.05}
    tracker.observe("gl", 0.9, 3.0)
    tracker.observe("es", 0.6, 1.5)
    assert tracker.language == "es"


def test_a_short_clip_cannot_contradict_a_long_one_can() -> None:
    tracker = LanguageTracker()
    tracker.observe("en", 0.9, 5)
    weights = [prior[""] for prior in (tracker.prior(1), tracker.prior(3), tracker.prior(8)) if prior]
    assert weights == sorted(weights)
    assert 0.9 * weights[0] < 0.05 < 0.95 * weights[2]


def test_the_list_and_an_agreeing_utterance_weigh_more() -> None:
    tracker = LanguageTracker(("en", "es"))
    tracker.observe("en", 0.9, 5)
    assert tracker.prior(3) == {"en": 1.0, "es": 0.4, "": 0.0005}
    tracker.observe("fr", 0.9, 3)
    prior = tracker.prior(1)
    assert prior is not None
    assert (prior["fr"], prior["es"]) == (0.3, 0.04)


def test_two_agreeing_utterances_switch() -> None:
    tracker = LanguageTracker()
    tracker.observe("en", 0.9, 5)
    for detected, probability, language in (
        ("es", 0.9, "en"), ("en", 0.9, "en"), ("es", 0.9, "en"), ("es", 0.7, "en"), ("es", 0.9, "en"),
        ("fr", 0.9, "en"), ("es", 0.9, "en"), ("es", 0.81, "es"), ("es", 0.9, "es"),
    ):  # fmt: skip
        tracker.observe(detected, probability, 3)
        assert tracker.language == language
