"""Language of a participant: decided after enough speech, and switched only on repeated evidence.

Whisper base detects the right language in 83 % of clips of 1–2 s, 95 % of 2–4 s, and 99 % of longer ones. So a short
clip is recognised in the language known so far, and a long one may contradict it: the known language is a prior for the
next clip, weaker for longer clips, and two agreeing utterances with a probability above SWITCH_PROBABILITY replace it.
"""

from collections.abc import Mapping, Sequence

DECIDE_SECONDS = 4.0
SWITCH_PROBABILITY = 0.8
SWITCH_UTTERANCES = 2
_OFF_LIST = 0.05
"""Weight of a language that is not in the meeting's list."""
_OTHERS = ((2.0, 0.001), (4.0, 0.01), (float("inf"), 0.1))
"""Weight of languages other than the decided one, by maximum clip length in seconds.

Tuned on 144 clips of four voices of Debian's asterisk prompts: 99.2 % of utterances are right within a language and
98.3 % with a switch if the list has both languages; 98.4 % and 95.4 % without a list.
"""
_LISTED = 40.0
"""Weight of a language in the list, up to _MOST.

The first utterances after a switch are short, and the right language gets only 0.3 to 0.4, yet clearly more than the
other languages in the list.
"""
_RIVAL = 0.3
"""Weight of a language that one utterance has already indicated."""
_MOST = 0.5


class LanguageTracker:
    """One participant's language. `expected` is the meeting's list, most likely first; empty for no expectation."""

    def __init__(self, expected: Sequence[str] = ()) -> None:
        self.language: str | None = None
        self._expected = tuple(expected)
        self._heard: dict[str, float] = {}
        self._seconds = 0.0
        self._rival: str | None = None
        self._agreements = 0

    def prior(self, seconds: float) -> Mapping[str, float] | None:
        """Return the weights of languages for a clip of `seconds`, in the form of whisper.Clip."""
        if self.language is not None:
            others = next(weight for limit, weight in _OTHERS if seconds < limit)
            weights = dict.fromkeys(self._expected, min(_MOST, others * _LISTED))
            if self._rival is not None:
                weights[self._rival] = max(_RIVAL, weights.get(self._rival, 0.0))
            return {**weights, self.language: 1.0, "": others * _OFF_LIST if self._expected else others}
        if self._expected:
            return {**dict.fromkeys(self._expected, 1.0), "": _OFF_LIST}
        return None

    def observe(self, detected: str, probability: float, seconds: float) -> None:
        """Process the model's unweighted detection in a final utterance of `seconds`."""
        if self.language is None:
            weight = 1.0 if not self._expected or detected in self._expected else _OFF_LIST
            self._heard[detected] = self._heard.get(detected, 0.0) + probability * weight * seconds
            self._seconds += seconds
            if self._seconds >= DECIDE_SECONDS:
                self.language = max(self._heard, key=self._heard.__getitem__)
            return
        if detected == self.language or probability <= SWITCH_PROBABILITY:
            self._rival, self._agreements = None, 0
            return
        self._agreements = self._agreements + 1 if detected == self._rival else 1
        self._rival = detected
        if self._agreements >= SWITCH_UTTERANCES:
            self.language, self._rival, self._agreements = detected, None, 0
